"""Invariants of the facts, and of the validation of a damaged batch."""

import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring.networks.readout import WEIGHTED_MEDIAN, ReadOutRule
from scoring.settings import Settings
from scoring.validation import facts

ANY_SHARE = Settings(_env_file=None, max_bad_share=1)
BATCH_DATE = date(2026, 11, 21)

few = st.sampled_from
consultation_rows = st.lists(
    st.fixed_dictionaries(
        {
            "id_x": few(["c1", "c2", "c3", None]),
            "patient_id": few(["p1", "p2", None]),
            "sop_iuid": few(["1.1", "1.2", None, "../x"]),
            "date_x_text": few(["2026-11-01", "01.11.2026"]),
            "rau_score": few([19.0, 200.0, np.nan]),
            "batch_date": few([BATCH_DATE, BATCH_DATE - timedelta(days=1)]),
        }
    ).map(lambda row: {**row, "date_x": date(2026, 11, 1) if row["date_x_text"].startswith("2026") else None}),
    max_size=8,
)
activity_rows = st.lists(
    st.fixed_dictionaries(
        {"patient_id": few(["p1", "p2", None]), "esr": few([20.0, -1.0]), "swollen_28": few([3.0, 2.5])}
    ),
    max_size=8,
)
image_rows = st.lists(
    st.fixed_dictionaries(
        {
            "sop_iuid": few(["1.1", "1.2", None]),
            "joint": few(["hand_left_1", "hand_left_2", "hand_left_99", None]),
            "sha256": few(["a", "b", "c"]),
            "decodes": st.booleans(),
            "width": few([128, 4, 5000]),
        }
    ),
    max_size=8,
)


def staged_tables(build, consultations, activity, images):
    frame = build.consultations(*consultations)
    cells = [
        {"of": row, "joint": joint, "reading_percent": percent}
        for row in range(len(frame))
        for joint, percent in (("hand_left_1", 10.0), ("hand_left_2", 120.0 if row % 3 == 0 else 58.0))
    ]
    named = [{**image, "file_name": f"{number}.jpg"} for number, image in enumerate(images)]
    return {
        "consultations": frame,
        "readings": build.readings(frame, *cells),
        "activity": build.activity(*activity),
        "images": build.images(*named),
    }


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(consultations=consultation_rows, activity=activity_rows, images=image_rows, seed=st.integers(0, 2**16))
def test_validate_batch_loses_no_row_and_ignores_the_order_of_rows(build, consultations, activity, images, seed):
    tables = staged_tables(build, consultations, activity, images)
    known = {
        "radiographs": build.known_radiographs(**{"1_2": "p1"}),
        "known_images": build.known_images(("1.2", "hand_left_1", "a")),
    }
    verdict = build.validate_batch(settings=ANY_SHARE, **tables, **known)
    for each, received in zip(verdict, tables.values(), strict=True):
        excluded = set(each.quarantine.loc[~each.quarantine["kept"].astype(bool), "row_key"])
        accepted = set(each.accepted["row_key"])
        assert not accepted & excluded
        assert accepted | excluded == set(received["row_key"])
        assert sum(each.counts.values()) == len(excluded)
        assert list(each.accepted.columns) == list(received.columns)

    accepted = verdict.consultations.accepted
    assert not accepted.duplicated(["batch_date", "id_x"]).any()
    assert (accepted.dropna(subset="sop_iuid").groupby("sop_iuid")["patient_id"].nunique() == 1).all()
    assert not verdict.disease_activity.accepted.duplicated(["batch_date", "patient_id", "date"]).any()
    good = verdict.images.accepted
    assert not good.duplicated(["sop_iuid", "joint"]).any()
    assert good["sha256"].is_unique
    assert set(good["sop_iuid"]) <= {*accepted["sop_iuid"], "1.2"}

    order = np.random.default_rng(seed)
    shuffled = {
        name: frame.iloc[order.permutation(len(frame))].reset_index(drop=True) for name, frame in tables.items()
    }
    again = build.validate_batch(settings=ANY_SHARE, **shuffled, **known)
    pd.testing.assert_frame_equal(again.quarantine, verdict.quarantine)


def test_consultation_facts_adds_columns_and_changes_nothing(build):
    rows = build.consultations({}, {"id_x": None})
    before = rows.copy()
    with_facts = facts.consultation_facts(rows, build.readings(rows), build.known_radiographs())
    pd.testing.assert_frame_equal(rows, before)
    assert len(with_facts) == 2
    assert set(rows.columns) < set(with_facts.columns)


def test_consultation_facts_of_an_empty_table_has_all_columns(build):
    none = build.consultations()
    with_facts = facts.consultation_facts(none, build.readings(none), build.known_radiographs())
    full = facts.consultation_facts(build.consultations({}), build.readings(none), build.known_radiographs())
    assert list(with_facts.columns) == list(full.columns)


@pytest.mark.parametrize(("mean", "grade"), [(0.0, 0), (0.9, 0), (1.2, 1), (19.9, 1), (20.1, 2), (79.9, 4), (100.0, 5)])
def test_prediction_facts_expects_the_grade_of_the_read_out_rule(build, mean, grade):
    graded = [{"image_sha256": str(each), "predicted_percent": mean, "predicted_grade": each} for each in range(6)]
    rows = build.predictions(*graded)
    fits = facts.prediction_facts(rows, rows)["grade_fits_mean"]
    assert list(fits) == [each == grade for each in range(6)]


def test_prediction_facts_accepts_either_grade_next_to_a_border(build):
    """In single precision, a half is rounded up or down."""
    rule = ReadOutRule(WEIGHTED_MEDIAN, weights=(1.0, 2.0, 1.0, 1.0, 1.0, 1.0))
    # Weighted: 2/3 of grade 0, 2/3 of grade 1.
    edge = [float(np.float32(2 / 3)), float(np.float32(1 / 3)), 0.0, 0.0, 0.0, 0.0]
    graded = [{"image_sha256": str(each), "grade_probability": edge, "predicted_grade": each} for each in range(6)]
    rows = build.predictions(*graded)
    assert list(facts.prediction_facts(rows, rows, rule)["grade_fits_mean"]) == [True, True] + [False] * 4
    clear = [{**each, "grade_probability": [0.5, 0.5, 0, 0, 0, 0]} for each in graded]
    rows = build.predictions(*clear)
    assert list(facts.prediction_facts(rows, rows, rule)["grade_fits_mean"]) == [False, True] + [False] * 4


def test_facts_module_does_not_import_great_expectations():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, scoring.validation.facts; print('great_expectations' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
