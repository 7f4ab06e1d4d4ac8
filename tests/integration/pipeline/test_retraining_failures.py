"""Retraining with unusable data, models, disks or requests, none of which changes the champion."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from upath import UPath

from scoring.errors import BadInput, InvalidRequest, ModelRejected, ScoringError, StorageUnavailable, TrainingDiverged
from scoring.model_store import store
from scoring.pipeline import retraining
from scoring.pipeline.candidates import Candidate, candidate_version
from scoring.training import recipes
from tests.lib.retraining import (
    ARGUMENTS,
    TINY,
    champion,
    execute,
    forget_connections,
    open_run,
    retrain,
    rows,
    settings_of,
    store_model,
)

pytestmark = pytest.mark.slow  # the installation takes half a minute to build


def test_snapshot_excludes_unusable_readings_and_images_with_a_reason(site, warehouse):
    images = [Path(row["uri"]) for row in rows(warehouse, "SELECT uri FROM imaging.joint_image ORDER BY uri LIMIT 4")]
    before = retraining.snapshot(site, open_run(site))
    images[0].unlink()
    images[1].write_bytes(images[2].read_bytes())
    # Repeated readings: 5 points higher, three grades higher, and equal.
    twice = rows(warehouse, "SELECT * FROM registry.joint_reading WHERE reading_percent = 30 ORDER BY sop_iuid LIMIT 3")
    for i, (row, percent) in enumerate(zip(twice, (35.0, 90.0, 30.0), strict=True)):
        execute(
            warehouse,
            "INSERT INTO registry.consultation SELECT :new, patient_id, visit_date, DATE '2026-11-20', sop_iuid,"
            " body_part, NULL, batch_date, first_batch_date, run_id, source_file, row_number"
            " FROM registry.consultation WHERE id_x = :id_x",
            new=f"again-{i}",
            id_x=row["id_x"],
        )
        execute(
            warehouse,
            "INSERT INTO registry.joint_reading (id_x, joint, sop_iuid, patient_id, reading_percent, read_on,"
            " batch_date, first_batch_date, run_id, source_file, row_number)"
            " SELECT :new, joint, sop_iuid, patient_id, :percent, DATE '2026-11-20', batch_date, first_batch_date,"
            " run_id, source_file, row_number FROM registry.joint_reading WHERE id_x = :id_x AND joint = :joint",
            new=f"again-{i}",
            id_x=row["id_x"],
            joint=row["joint"],
            percent=percent,
        )
    taken = retraining.snapshot(site, open_run(site))
    assert taken.excluded == {"image changed": 1, "image gone": 1, "readings two grades apart": 1}
    assert taken.n_discordant == 1
    assert taken.n_joints == before.n_joints - 3
    assert taken.sha256 != before.sha256
    row = rows(warehouse, "SELECT * FROM scoring.training_snapshot ORDER BY taken_at")[-1]
    assert row["snapshot_sha256"] == taken.sha256
    assert (row["excluded"], row["n_joints"], row["synthetic"]) == (taken.excluded, taken.n_joints, True)


def test_retrain_stops_if_images_are_missing_or_changed(site, warehouse, tmp_path):
    Path(site.landing_url).rename(tmp_path / "away")
    with pytest.raises(
        StorageUnavailable, match=r"All \d+ images of read joints are missing.* Check that the storage is mounted"
    ):
        retrain(site)
    (tmp_path / "away").rename(site.landing_url)
    for row in rows(warehouse, "SELECT uri FROM imaging.joint_image ORDER BY uri LIMIT 300"):
        Path(row["uri"]).write_bytes(b"\xff\xd8\xff broken")
    with pytest.raises(BadInput, match=r"300 of \d+ images of read joints cannot be used \(\d+%.*image changed"):
        retrain(site)
    assert champion(warehouse) == "untrained-1"


def test_retrain_rejects_an_insufficient_training_set_before_training(site, warehouse):
    for impossible, why in (
        ({"min_training_patients": 1000}, "The readings come from fewer than 1000 patients"),
        ({"min_joints_of_grade": 1000}, "The training set has fewer than 1000 joints of grade 5"),
    ):
        with pytest.raises(BadInput, match=why):
            retrain(site.model_copy(update=impossible))
    execute(warehouse, "UPDATE registry.joint_reading SET withdrawn_on = DATE '2026-11-22'")
    with pytest.raises(BadInput, match="No joint has both a reading and an accepted image"):
        retrain(site)
    assert champion(warehouse) == "untrained-1"
    results = rows(warehouse, "SELECT status, message FROM scoring.run_result AS r JOIN scoring.run USING (run_id)"
                   " WHERE job = 'retraining'")  # fmt: skip
    assert [result["status"] for result in results] == ["failed"] * 3
    assert "validate failed: BadInput" in results[0]["message"]


def test_open_run_rejects_invalid_requests_before_reading(site, warehouse):
    for asked, why in (
        ({"recipes": ["cold-fusion"]}, r"no recipe 'cold-fusion'\. Use one of: lazy, stretched, tiny"),
        ({"recipes": []}, "needs one or more different recipes"),
        ({"recipes": ["tiny", "stretched"]}, "for `scoring benchmark` only"),
        ({"recipes": ["tiny", "tiny"]}, "different recipes. Given: tiny, tiny"),
        ({"metric": "luck"}, r"no metric 'luck'\. Use one of: accuracy_and_kappa"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            open_run(site, **asked)
    assert rows(warehouse, "SELECT * FROM scoring.run WHERE job = 'retraining'") == []


def test_open_run_rejects_a_warehouse_without_batches(new_warehouse, tmp_path):
    with new_warehouse("scoring") as empty:
        with pytest.raises(BadInput, match="There are no readings"):
            open_run(settings_of(tmp_path, empty))
        forget_connections()


def test_train_reports_a_full_disk_and_can_be_repeated(site_without_candidates, warehouse, monkeypatch):
    site = site_without_candidates
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    recipe = recipes.recipe_named("lazy", seed=0)
    version = candidate_version("lazy", recipe, taken, run.batch_date, "test")
    work_dir = site.var_dir / "training" / version
    work_dir.mkdir(parents=True, exist_ok=True)
    # Writing to /dev/full fails as on a disk without a free byte.
    monkeypatch.setattr("scoring.storage.uuid4", lambda: SimpleNamespace(hex="full"))
    (work_dir / ".checkpoint.npz.full.part").symlink_to("/dev/full")
    with pytest.raises(StorageUnavailable, match=r"The disk is full .*Free space and try again"):
        retraining.train(site, run, taken, "lazy")
    with pytest.raises(ScoringError, match="failed: train_lazy failed: StorageUnavailable: The disk is full"):
        retraining.close_run(site, run)
    assert retraining.train(site, run, taken, "lazy").version == version
    retraining.close_run(site, run)
    assert champion(warehouse) == "untrained-1"


def test_retrain_stops_if_the_loss_is_not_finite(site, warehouse, monkeypatch):
    monkeypatch.setattr(recipes, "RECIPES", {"wild": replace(TINY, learning_rate=float("nan"), warmup_steps=0)})
    with pytest.raises(TrainingDiverged, match="The loss became nan in epoch 1"):
        retrain(site, recipes=["wild"], approve=True)
    assert champion(warehouse) == "untrained-1"
    assert "wild" not in " ".join(store.model_versions(site.model_store_url))


def test_compare_rejects_a_model_that_does_not_fit(site, warehouse, untrained_files):
    store_model(site, "misfit-1", untrained_files, arguments=ARGUMENTS | {"dense": [8]})
    store_model(site, "small-1", untrained_files, input_side=64)
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    for version, why in (
        ("misfit-1", r"model misfit-1 \(Weight dense1/kernel has shape"),
        ("small-1", r"Model small-1 needs images of 64 pixels per side, but these joints have 128"),
    ):
        with pytest.raises(ModelRejected, match=why):
            retraining.compare(site, run, taken, [Candidate(version, "tiny", 1.0)], "accuracy_and_kappa")
    assert rows(warehouse, "SELECT * FROM scoring.challenge") == []


def test_retraining_rejects_a_changed_snapshot_or_champion(site):
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    path = UPath(site.staging_url) / "snapshots" / f"{taken.sha256}.npz"
    with np.load(path) as arrays:
        changed = dict(arrays) | {"reading": np.zeros_like(arrays["reading"])}
    np.savez(os.fspath(path), **changed)
    with pytest.raises(BadInput, match=r"npz was changed after it was stored"):
        retraining.validate(site, run, taken)
    weights = Path(site.model_store_url) / "untrained-1" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelRejected, match=r"weights.npz was changed"):
        open_run(site)
