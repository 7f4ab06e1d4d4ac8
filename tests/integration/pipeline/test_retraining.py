"""Retraining on a site's own warehouse: proposals, decisions, and failures, none of which changes the champion."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa
from upath import UPath

from scoring.contract import SYNTHETIC_MARKER
from scoring.errors import BadInput, InvalidRequest, ModelRejected, ScoringError, StorageUnavailable, TrainingDiverged
from scoring.imaging.preprocess import PREPROCESSING_VERSION
from scoring.model_store import store
from scoring.pipeline import models, nightly, rescoring, retraining
from scoring.pipeline.approval import Decision
from scoring.pipeline.candidates import Candidate, candidate_version
from scoring.settings import Settings, sql_dir
from scoring.training import export_model, recipes
from scoring.training.checkpoint import TENSORBOARD
from scoring.training.recipes import TrainingRecipe
from scoring.warehouse import connect
from scoring.warehouse.queries import models as known_models
from tests.lib.bars import write_bar_batches

BATCH_DATE = date(2026, 11, 21)
ARGUMENTS = {"side": 128, "shrink": 4, "filters": [4, 8, 8, 8], "dense": [16], "dropout": 0.0}
TINY = TrainingRecipe(
    epochs=4, batch_size=8, learning_rate=0.01, warmup_steps=5, precision="float32", arguments=ARGUMENTS,
    rotation=0, zoom=0, shift=0, contrast=0, brightness=0,
)  # fmt: skip


KNOWN = {
    "tiny": TINY,
    "lazy": replace(TINY, epochs=1, learning_rate=1e-9),
    "stretched": replace(TINY, stretch=True),
}


@pytest.fixture(autouse=True)
def tiny_recipes(monkeypatch):
    """Recipes that take seconds: one that learns, and one that learns nothing."""
    monkeypatch.setattr(recipes, "RECIPES", KNOWN)


@pytest.fixture(scope="module")
def untrained_files():
    """The files of a network with random weights."""
    import keras

    from scoring.networks.architecture import build

    keras.utils.set_random_seed(1)
    return export_model.model_files(build("erosion_cdf_network", dict(ARGUMENTS)))


def store_model(site, version, files, **facts):
    described = {
        "version": version,
        "trained_on_synthetic": True,
        "architecture": "erosion_cdf_network",
        "arguments": ARGUMENTS,
        "input_side": 128,
        "preprocessing_version": PREPROCESSING_VERSION,
    }
    return store.write_model(site.model_store_url, described | facts, files)


def settings_of(folder, warehouse):
    return Settings(
        var_dir=folder, warehouse_url=warehouse.job_url, code_revision="test", _env_file=None,
        min_joints_of_grade=20, min_training_patients=50,
    )  # fmt: skip


@dataclass(frozen=True)
class Built:
    """An installation before each test: its folder, a copy of it, and its warehouse."""

    folder: Path
    pristine: Path
    warehouse: str


@pytest.fixture(scope="module")
def built(new_warehouse, untrained_files, tmp_path_factory) -> Iterator[Built]:
    """An installation with two batches of 114 patients, an untrained champion, and two candidates in its store.

    Candidates are named after recipe, data and code, so a retraining finds them and does not train them again.
    """
    folder = tmp_path_factory.mktemp("site") / "var"
    with new_warehouse("scoring") as warehouse, pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "RECIPES", KNOWN)
        site = settings_of(folder, warehouse)
        store_model(site, "untrained-1", untrained_files)
        models.promote(site, version="untrained-1", promoted_by="tester", reason="the first")
        write_bar_batches(site.landing_url, seed=3, first_batch=BATCH_DATE, batches=2, n_patients=120, years=0.5)
        for batch_date in (BATCH_DATE, BATCH_DATE + timedelta(days=1)):
            nightly.run_batch(site, batch_date, triggered_by="tester")
        with new_warehouse(warehouse.name) as practice:
            trained = settings_of(folder, practice)
            run = open_run(trained)
            taken = retraining.snapshot(trained, run)
            for name in ("tiny", "lazy"):
                retraining.train(trained, run, taken, name)
            forget_connections()
        yield Built(folder, Path(shutil.copytree(folder, folder.with_name("pristine"))), warehouse.name)


def forget_connections():
    connect._engine.cache_clear()


@pytest.fixture
def warehouse(built, new_warehouse):
    with new_warehouse(built.warehouse) as made:
        yield made


@pytest.fixture
def site(built, warehouse) -> Iterator[Settings]:
    """The installation as it was built, in the same folder, because the warehouse has the paths of its images."""
    shutil.rmtree(built.folder)
    shutil.copytree(built.pristine, built.folder)
    yield settings_of(built.folder, warehouse)
    forget_connections()


@pytest.fixture
def site_without_candidates(site):
    for version in Path(site.model_store_url).glob("*-2026-*"):
        shutil.rmtree(version)
    return site


def open_run(site, **asked):
    wanted = {"recipes": ["tiny"], "metric": "accuracy_and_kappa", "trigger": "cli", "triggered_by": "tester"}
    return retraining.open_run(site, asked.pop("cut_off", None), **wanted | asked)


def retrain(site, **asked):
    wanted = {"recipes": ["tiny"], "cut_off": None, "metric": "accuracy_and_kappa", "epochs": None, "approve": False}
    return retraining.retrain(site, **wanted | asked, triggered_by="a steward")


def champion(warehouse):
    with warehouse.engine().connect() as connection:
        return known_models.champion(connection)["model_version"]


def promoted(warehouse):
    with warehouse.engine().connect() as connection:
        return known_models.promoted(connection)["model_version"]


def rows(warehouse, statement):
    with warehouse.engine().connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement)).mappings()]


def execute(warehouse, statement, **values):
    with warehouse.engine(warehouse.superuser_url).begin() as connection:
        connection.execute(sa.text(statement), values)


def test_retrain_proposes_a_better_challenger_that_can_be_promoted_and_undone(site, warehouse):
    proposal = retrain(site)
    assert proposal.proposed, proposal.reasons
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT * FROM analyst.challenge")
    assert (row["champion"], row["challenger"]) == ("untrained-1", proposal.challenger)
    assert (row["decision"], row["decided_by"], row["judged_on_synthetic"]) == ("open", None, True)
    assert row["difference_low"] > 0
    assert row["cut_off"] == BATCH_DATE + timedelta(days=1)
    assert f"| accuracy and kappa | {row['n_joints']} |" in proposal.question
    assert "Synthetic phantoms" in proposal.question

    # After a promotion by hand, the proposal is no longer open.
    models.promote(site, version=proposal.challenger, promoted_by="a steward", reason="better")
    (row,) = rows(warehouse, "SELECT decision, decided_by FROM analyst.challenge")
    assert row == {"decision": "promoted", "decided_by": "a steward"}
    manifest = models.load(site, proposal.challenger).manifest
    assert manifest["trained_on_synthetic"] is True
    assert manifest["data"]["cut_off"] == "2026-11-22"

    shown = rows(warehouse, (sql_dir() / "queries" / "challenges_of_the_champion.sql").read_text())
    assert [(row["decision"], row["gate_reasons"]) for row in shown] == [("promoted", proposal.reasons[0])]

    # One command undoes it.
    models.promote(site, version="untrained-1", promoted_by="a steward", reason="second thoughts")
    assert champion(warehouse) == "untrained-1"


def test_retrain_promotes_an_approved_challenger_and_then_proposes_none(site, warehouse):
    first = retrain(site, approve=True)
    assert promoted(warehouse) == first.challenger
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT decision, decided_by, decision_reason FROM analyst.challenge")
    assert (row["decision"], row["decided_by"]) == ("promoted", "a steward")
    assert row["decision_reason"].startswith("approved beforehand: it is better")

    # A champion that is about to be replaced cannot be challenged.
    with pytest.raises(InvalidRequest, match=r"is promoted and will replace untrained-1 as the champion"):
        retrain(site)
    rescoring.rescore(site, accept_missing=False, triggered_by="a steward")
    assert champion(warehouse) == first.challenger

    again = retrain(site, approve=True)
    assert again.challenger == first.challenger
    assert not again.proposed
    assert len(rows(warehouse, "SELECT * FROM scoring.promotion")) == 2
    # A worse candidate is shown to be worse.
    worse = retrain(site, recipes=["lazy"], approve=True)
    assert not worse.proposed
    assert re.search(r"accuracy and kappa 0\.\d+ against [01]\.\d+, difference -0\.\d+", worse.reasons[0])
    row = rows(warehouse, "SELECT difference_high, decision FROM analyst.challenge ORDER BY challenge_id")[-1]
    assert row["difference_high"] < 0
    assert row["decision"] == "rejected by the gate"
    assert champion(warehouse) == first.challenger
    results = rows(warehouse, "SELECT status FROM scoring.run_result JOIN scoring.run USING (run_id)"
                   " WHERE job = 'retraining'")  # fmt: skip
    assert [run["status"] for run in results] == ["succeeded"] * 3


def test_retrain_rejects_a_challenger_that_is_no_better_with_the_reason(site, warehouse):
    challenge = retrain(site, recipes=["lazy"], approve=True)
    assert not challenge.proposed
    assert "it is not shown to be better" in challenge.reasons[0]
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT decision, reasons, decided_by FROM analyst.challenge")
    assert row == {"decision": "rejected by the gate", "reasons": challenge.reasons, "decided_by": None}


def test_retrain_command_promotes_only_with_approve(site, warehouse, monkeypatch):
    from click.testing import CliRunner

    from scoring.cli import main
    from scoring.settings import get_settings

    for name in ("var_dir", "code_revision", "min_training_patients"):
        monkeypatch.setenv(f"SCORING_{name.upper()}", str(getattr(site, name)))
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", warehouse.job_url)
    get_settings.cache_clear()
    proposed = CliRunner().invoke(main, ["retrain", "--recipe", "tiny", "--cut-off", "2026-11-22"])
    assert proposed.exit_code == 0, proposed.output
    version = known_version(site, "tiny")
    assert "| accuracy and kappa |" in proposed.stdout
    assert proposed.stdout.splitlines()[-1].endswith(f'To promote it: scoring promote {version} --reason "..."')
    assert champion(warehouse) == "untrained-1"

    rejected = CliRunner().invoke(main, ["retrain", "--recipe", "lazy", "--approve"])
    assert rejected.stdout.splitlines()[-1].endswith("is not proposed; untrained-1 remains the champion.")
    approved = CliRunner().invoke(main, ["retrain", "--recipe", "tiny", "--approve"])
    assert approved.stdout.splitlines()[-1] == f"{version} is promoted. Run `scoring rescore` to make it the champion."
    assert promoted(warehouse) == version
    get_settings.cache_clear()


def known_version(site, recipe):
    (version,) = [each for each in store.model_versions(site.model_store_url) if each.startswith(f"{recipe}-")]
    return version


def test_compare_chooses_the_best_candidate_on_the_validation_set(site, warehouse):
    run = open_run(site, recipes=["tiny", "lazy"])
    taken = retraining.snapshot(site, run)
    candidates = [retraining.train(site, run, taken, name) for name in ("lazy", "tiny")]
    challenge = retraining.compare(site, run, taken, candidates, "quadratic_weighted_kappa")
    assert challenge.challenger == candidates[1].version
    (row,) = rows(warehouse, "SELECT candidates, metric FROM scoring.challenge")
    assert row["candidates"] == {each.version: each.score for each in candidates}
    assert row["metric"] == "quadratic_weighted_kappa"

    # Repeated steps return the same results, and a candidate is not trained twice.
    assert retraining.compare(site, run, taken, candidates, "quadratic_weighted_kappa") == challenge
    assert retraining.train(site, run, taken, "tiny") == candidates[1]
    assert retraining.snapshot(site, run) == taken


def test_decide_records_who_rejected_a_challenger_and_why(site, warehouse):
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    challenge = retraining.compare(site, run, taken, [retraining.train(site, run, taken, "tiny")], "accuracy_and_kappa")
    assert challenge.proposed
    rejected = Decision(False, "a doctor", "the wrists look wrong")
    assert retraining.decide(site, run, challenge, rejected) == "rejected"
    assert champion(warehouse) == "untrained-1"
    (row,) = rows(warehouse, "SELECT decision, decided_by, decision_reason FROM analyst.challenge")
    assert row == {"decision": "rejected", "decided_by": "a doctor", "decision_reason": "the wrists look wrong"}
    # The same decision changes nothing; the opposite is an error and promotes nothing.
    assert retraining.decide(site, run, challenge, rejected) == "rejected"
    with pytest.raises(InvalidRequest, match=r"was rejected before.*Retrain"):
        retraining.decide(site, run, challenge, Decision(True, "a doctor", "after all"))
    assert promoted(warehouse) == "untrained-1"
    # A promotion by hand replaces the decision.
    models.promote(site, version=challenge.challenger, promoted_by="a steward", reason="they were read again")
    (row,) = rows(warehouse, "SELECT decision, decided_by, decision_reason FROM analyst.challenge")
    assert row == {"decision": "promoted", "decided_by": "a steward", "decision_reason": "they were read again"}


def test_decide_rejects_a_challenger_compared_with_a_former_champion(site, warehouse):
    run = open_run(site)
    taken = retraining.snapshot(site, run)
    challenge = retraining.compare(site, run, taken, [retraining.train(site, run, taken, "tiny")], "accuracy_and_kappa")
    store_model(site, "other-1", models.load(site, "untrained-1").files)
    models.promote(site, version="other-1", promoted_by="another steward", reason="meanwhile")
    with pytest.raises(InvalidRequest, match=r"other-1 was promoted since .* was compared with untrained-1"):
        retraining.decide(site, run, challenge, Decision(True, "a doctor", "it is better"))
    assert promoted(warehouse) == "other-1"


def test_snapshot_has_the_readings_received_by_the_cut_off(site):
    early = retraining.snapshot(site, open_run(site, cut_off=BATCH_DATE))
    late = retraining.snapshot(site, open_run(site))
    assert 0 < early.n_joints < late.n_joints
    assert (late.excluded, late.n_discordant, late.n_patients) == ({}, 0, 114)
    assert sum(late.joints_by_grade) == late.n_joints


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


def test_retrain_on_data_of_patients_makes_a_model_that_is_not_synthetic(site):
    for marker in Path(site.landing_url).glob(f"*/{SYNTHETIC_MARKER}"):
        marker.unlink()
    challenge = retrain(site, recipes=["lazy"])
    manifest = models.load(site, challenge.challenger).manifest
    assert manifest["trained_on_synthetic"] is False
    assert manifest["notice"].startswith("Trained on readings of one site.")
    assert "Synthetic" not in challenge.question


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
        ({"recipes": []}, "needs one or more recipes"),
        ({"recipes": ["tiny", "stretched"]}, "for `scoring benchmark` only"),
        ({"recipes": ["tiny", "tiny"]}, "each once; asked for: tiny, tiny"),
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


def test_retrain_resumes_a_killed_training(site_without_candidates, warehouse, monkeypatch):
    site = site_without_candidates
    from scoring.training.fit import TrainingRun

    class Killed(BaseException):
        pass

    shown = []

    def until_the_third_epoch(doing, done, total):
        shown.append(done)
        if doing.startswith("training") and done > 0.6 * total:
            raise Killed

    with pytest.raises(Killed):
        retraining.retrain(
            site, recipes=["tiny"], cut_off=None, metric="accuracy_and_kappa", epochs=None, approve=True,
            triggered_by="a steward", progress=until_the_third_epoch,
        )  # fmt: skip
    assert champion(warehouse) == "untrained-1"
    epochs = []
    run_epoch = TrainingRun.run_epoch
    monkeypatch.setattr(
        TrainingRun, "run_epoch", lambda run, progress: epochs.append(run_epoch(run, progress)) or epochs[-1]
    )
    challenge = retrain(site)
    assert [epoch.epoch for epoch in epochs] == [3, 4]
    assert challenge.proposed
    # A stored model needs no checkpoint; the learning curves are kept.
    left = [path.name for path in (site.var_dir / "training" / challenge.challenger).iterdir()]
    assert left == [TENSORBOARD]


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
        ("small-1", r"Model small-1 needs images with sides of 64 pixels, these joints have 128"),
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
    with pytest.raises(BadInput, match=r"npz was changed since it was stored"):
        retraining.validate(site, run, taken)
    weights = Path(site.model_store_url) / "untrained-1" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelRejected, match=r"weights.npz was changed"):
        open_run(site)
