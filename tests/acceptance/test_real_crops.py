"""A nightly run on real radiograph crops, which are not part of this repository."""

import csv
import os
import shutil
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.lib.history import run_batch

BATCH = date(2026, 11, 21)
CROPS = Path(os.environ.get("SCORING_REAL_CROPS", Path(__file__).parents[3] / "shared" / "real-crops"))


@pytest.mark.skipif(not CROPS.is_dir(), reason="real crops are not shipped; name their folder in SCORING_REAL_CROPS")
def test_run_batch_scores_all_real_crops(site, warehouse):
    crops = list(csv.DictReader((CROPS / "crops.csv").read_text(encoding="utf-8").splitlines()))
    folder = Path(site.landing_url) / BATCH.isoformat()
    (folder / "joints").mkdir(parents=True)
    radiographs = {
        hand: f"2.25.{number}" for number, hand in enumerate(sorted({crop["hand"] for crop in crops}), start=1)
    }
    for crop in crops:
        name = f"{radiographs[crop['hand']]}_hand_left_{crop['hand_left_column']}.jpg"
        shutil.copy(CROPS / crop["file"], folder / "joints" / name)
    joints = [f"hand_left_{n}" for n in range(1, 11)]
    rows = [
        f"c{n},p{n},2026-10-01,,{radiograph},HAND_LEFT,{',' * len(joints)}\n"
        for n, radiograph in enumerate(radiographs.values(), start=1)
    ]
    (folder / "consultations.csv").write_text(
        f"id_x,patient_id,date_x,date_y,sop_iuid,body_part,{','.join(joints)},rau_score\n" + "".join(rows)
    )
    (folder / "disease_activity.csv").write_text(
        "patient_id,date,physician_global_disease_activity,global_patient_estimate_disease_activity,"
        "das28bsr_score,das283crp_score\np1,2026-10-01,,,3.1,\n"
    )
    (folder / "_SUCCESS").touch()

    counts = run_batch(site, BATCH)

    assert counts["images"] == {"scored": len(crops), "already_scored": 0, "missing": 0}
    assert set(counts["quarantined"].values()) == {0}
    assert Path(counts["report"]).exists()
    with warehouse.engine().connect() as connection:
        radiographs_scored = connection.execute(
            sa.text("SELECT count(*), min(n_scored) FROM analyst.rau_by_radiograph")
        ).one()
        grades = connection.execute(
            sa.text("SELECT predicted_grade, count(*) FROM analyst.current_joint_prediction GROUP BY 1 ORDER BY 1")
        )
        # Shown by `pytest -s`; nothing is tuned to this distribution.
        print("grades of the real crops:", dict(tuple(row) for row in grades))  # noqa: T201
    assert tuple(radiographs_scored) == (len(radiographs), len(crops) // len(radiographs))
