"""Rescoring the history with a promoted model: complete, failed, killed, interleaved with nightly runs."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from scoring.errors import BadInput, InvalidRequest, ModelRejected, ReconciliationFailed, StorageUnavailable
from scoring.model_store.store import SHIPPED_VERSION
from scoring.pipeline import nightly, rescoring
from scoring.warehouse.queries import checksum
from tests.lib.history import BATCHES, OTHER, everything_of, frame, promote, rescore, run_batch, scalar, shown, values

ROW_COUNTS = "SELECT * FROM analyst.run_reconciliation WHERE job = 'rescoring' ORDER BY started_at"


def n_predictions(history, model):
    engine = history.engine
    return scalar(engine, "SELECT count(*) FROM scoring.joint_prediction WHERE model_version = :model", model=model)


def row_counts(history):
    """Return the row counts of the last rescoring."""
    return frame(history.engine, ROW_COUNTS).iloc[-1]


def in_shards(site, shard_size):
    return site.model_copy(update={"shard_size": shard_size})


def open_run(site, trigger="cli"):
    return rescoring.open_run(site, trigger=trigger, triggered_by="tester")


def test_rescore_scores_the_history_and_switches_the_views_at_its_end(history):
    site, n_images = history.site, history.n_images(2)
    assert promote(site) == SHIPPED_VERSION
    assert shown(history) == everything_of(SHIPPED_VERSION)
    models = values(history)
    assert models["champion"].startswith(SHIPPED_VERSION)
    assert models["promoted"].startswith(OTHER)
    assert models["waiting"] == f"{n_images} images for {OTHER}: run `scoring rescore`"

    counts = rescore(site)

    assert (counts["planned"], counts["scored"], counts["rejected"], counts["missing"]) == (n_images, n_images, 0, 0)
    assert shown(history) == everything_of(OTHER)
    assert n_predictions(history, SHIPPED_VERSION) == n_predictions(history, OTHER) == n_images
    assert "promoted" not in values(history)
    found = row_counts(history)
    expected = {"status": "succeeded", "planned": n_images, "scored": n_images, "reconciled": True}
    assert found[list(expected)].to_dict() == expected


def test_rescore_keeps_batch_dates_and_dates_of_correlations(rescored):
    engine = rescored.engine
    for table, keys in (
        ("joint_prediction", "image_sha256, batch_date"),
        ("rau_prediction", "scope, patient_id, visit_date, sop_iuid, n_scored, batch_date, first_batch_date"),
    ):
        of_model = f"SELECT {keys} FROM scoring.{table} WHERE model_version = :model ORDER BY {keys}"  # noqa: S608 - our own names
        old, new = (frame(engine, of_model, model=model) for model in (SHIPPED_VERSION, OTHER))
        assert len(old) > 0
        pd.testing.assert_frame_equal(old, new)
    counted = (
        "SELECT as_of, damage, activity, method, n_visits, n_patients FROM analytics.correlation"
        " WHERE model_version = :model ORDER BY as_of, damage, activity, method"
    )
    old, new = (frame(engine, counted, model=model) for model in (SHIPPED_VERSION, OTHER))
    assert old["as_of"].nunique() == 2
    pd.testing.assert_frame_equal(old, new)


def test_rescore_again_changes_nothing(rescored):
    engine = rescored.engine
    before = checksum.checksums(engine)
    assert rescore(rescored.site)["planned"] == 0
    assert checksum.checksums(engine) == before
    assert scalar(engine, "SELECT count(*) FROM scoring.activation") == 2


class Killed(BaseException):
    """Ends a rescoring as SIGKILL does: no handler of errors catches it, and nothing is recorded."""


@pytest.fixture
def interrupt(monkeypatch):
    """Rescores, and raises an error in the second shard before its transaction is committed."""
    from scoring.warehouse.publish import predictions

    publish_rau = predictions.publish_rau

    def rescore_until(site, error):
        calls = []

        def fail_the_second_time(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise error
            return publish_rau(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(predictions, "publish_rau", fail_the_second_time)
            with pytest.raises(type(error)):
                rescore(site)

    return rescore_until


@pytest.mark.slow
def test_rescore_resumes_after_a_failure_and_after_a_kill(history, interrupt):
    site, n_images = in_shards(history.site, 20), history.n_images(2)
    analyst = history.analyst
    visits = "SELECT * FROM analyst.rau_by_visit ORDER BY patient_id, visit_date"
    before = frame(analyst, visits)
    promote(site)

    interrupt(site, RuntimeError("a bug"))
    assert n_predictions(history, OTHER) == 20, "the first shard remains, and nothing of the second"
    pd.testing.assert_frame_equal(frame(analyst, visits), before)
    failed = row_counts(history)
    expected = {"status": "failed", "planned": n_images, "scored": 20, "reconciled": False}
    assert failed[list(expected)].to_dict() == expected
    assert failed["unaccounted_for"] == n_images - 20
    assert "RuntimeError" in failed["message"]

    interrupt(site, Killed())
    assert n_predictions(history, OTHER) == 40
    assert shown(history) == everything_of(SHIPPED_VERSION)
    assert pd.isna(row_counts(history)["status"])

    counts = rescore(site)
    assert (counts["planned"], counts["scored"]) == (n_images - 40, n_images - 40)
    assert n_predictions(history, OTHER) == n_images
    assert shown(history) == everything_of(OTHER)
    n_runs = scalar(history.engine, "SELECT count(DISTINCT run_id) FROM scoring.joint_prediction")
    assert n_runs == 2 + 3


@pytest.mark.slow
def test_rescore_resumes_after_its_process_was_killed(history):
    site, n_images = history.site, history.n_images(2)
    promote(site)
    environment = os.environ | {
        "SCORING_VAR_DIR": str(site.var_dir),
        "SCORING_WAREHOUSE_URL": history.warehouse.job_url,
        "SCORING_SHARD_SIZE": "2",
    }
    process = subprocess.Popen(
        [Path(sys.executable).parent / "scoring", "rescore"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 120
        while n_predictions(history, OTHER) < 4 and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL

    n_done = n_predictions(history, OTHER)
    assert 4 <= n_done < n_images
    assert n_done % 2 == 0
    assert shown(history) == everything_of(SHIPPED_VERSION)
    assert pd.isna(row_counts(history)["status"])

    assert rescore(site)["scored"] == n_images - n_done
    assert n_predictions(history, OTHER) == n_images
    assert shown(history) == everything_of(OTHER)


def test_plan_makes_shards_larger_if_there_would_be_too_many_to_map(history, monkeypatch):
    site = history.site
    promote(site)
    monkeypatch.setattr(rescoring, "MAX_SHARDS", 3)
    shards = rescoring.plan(in_shards(site, 2), open_run(site))
    assert len(shards) == 3
    assert [shard.first for shard in shards] == [0, shards[0].count, shards[0].count + shards[1].count]
    assert sum(shard.count for shard in shards) == history.n_images(2)


@pytest.mark.slow
def test_rescore_includes_what_a_nightly_run_published_meanwhile(history, monkeypatch):
    """The nightly run adds images, and moves a radiograph whose visit date the registry has corrected."""
    site, engine = history.site, history.engine
    of_radiograph = "SELECT visit_date, model_version FROM analyst.rau_by_radiograph WHERE sop_iuid = :radiograph"
    radiograph, visit = frame(
        engine, "SELECT sop_iuid, visit_date FROM analyst.rau_by_radiograph WHERE batch_date = :batch", batch=BATCHES[0]
    ).iloc[0]
    moved = visit - timedelta(days=1)
    promote(site)
    analyse = rescoring.analyse

    def analyse_before_a_nightly_run(*arguments):
        n_dates = analyse(*arguments)
        table = history.folder(0) / "consultations.csv"
        lines = table.read_text().splitlines(keepends=True)
        table.write_text("".join(x.replace(str(visit), str(moved), 1) if radiograph in x else x for x in lines))
        run_batch(site, BATCHES[2])
        return n_dates

    monkeypatch.setattr(rescoring, "analyse", analyse_before_a_nightly_run)
    counts = rescore(site)

    n_images = history.n_images()
    assert counts["late"] == history.batches[2].n_images
    assert (counts["planned"], counts["scored"]) == (n_images, n_images)
    assert scalar(engine, "SELECT count(*) FROM analyst.current_joint_prediction") == n_images
    assert scalar(engine, "SELECT count(DISTINCT as_of) FROM analyst.correlation WHERE is_champion") == 3
    visits = frame(
        engine,
        "SELECT model_version, n_visits FROM analytics.correlation WHERE as_of = :batch AND damage = 'predicted_rau'"
        " AND activity = 'das28_esr4' AND method = 'spearman'",
        batch=BATCHES[2],
    )
    assert visits["n_visits"].nunique() == 1
    assert len(visits) == 2
    assert frame(engine, of_radiograph, radiograph=radiograph).to_numpy().tolist() == [[moved, OTHER]]


@pytest.mark.slow
def test_rescore_scores_the_images_of_a_nightly_run_during_which_the_champion_changed(rescored):
    site, n_late = rescored.site, rescored.batches[2].n_images
    opened = nightly.open_run(site, BATCHES[2], trigger="cli", triggered_by="tester")
    nightly.land(site, opened)
    assert promote(site, SHIPPED_VERSION) is None, "the views switch at once"
    nightly.validate(site, opened)
    nightly.publish_registry(site, opened)
    for shard in nightly.plan(site, opened):
        nightly.score(site, opened, shard)
    nightly.publish_predictions(site, opened)
    nightly.analyse(site, opened)
    with pytest.raises(
        ReconciliationFailed, match=f"{n_late} wait for a prediction of {SHIPPED_VERSION}.*`scoring rescore`"
    ):
        nightly.close_run(site, opened)
    assert values(rescored)["waiting"].startswith(f"{n_late} images for {SHIPPED_VERSION}")

    assert rescore(site)["scored"] == n_late
    engine = rescored.engine
    assert scalar(engine, "SELECT count(*) FROM analyst.current_joint_prediction") == rescored.n_images()
    compared = "SELECT n FROM analyst.model_comparison WHERE is_champion AND measure = 'erosion'"
    assert scalar(engine, f"{compared} AND joint_kind = 'all' AND old_grade = 'all'") == rescored.n_images()
    assert "waiting" not in values(rescored)
    nightly.close_run(site, opened)


def test_rescore_stops_before_the_switch_if_another_model_is_promoted(history, monkeypatch):
    site, analyse = history.site, rescoring.analyse
    promote(site)
    monkeypatch.setattr(rescoring, "analyse", lambda *arguments: (analyse(*arguments), promote(site, SHIPPED_VERSION)))
    with pytest.raises(InvalidRequest, match=f"promoted model is no longer {OTHER}, but {SHIPPED_VERSION}"):
        rescore(site)
    assert shown(history) == everything_of(SHIPPED_VERSION)
    assert n_predictions(history, OTHER) == history.n_images(2)


def test_rescore_needs_consent_to_activate_a_model_without_missing_images(history):
    site, n_images = history.site, history.n_images(2)
    analyst = history.analyst
    gone, changed = sorted((history.folder(0) / "joints").glob("*.jpg"))[:2]
    whole = changed.read_bytes()
    gone.unlink()
    changed.write_bytes(whole[:-100])
    promote(site)

    with pytest.raises(BadInput, match=r"2 accepted images cannot be scored.*--accept-missing"):
        rescore(site)
    assert shown(history) == everything_of(SHIPPED_VERSION)
    expected = {"status": "failed", "planned": n_images, "scored": n_images - 2, "rejected": 2, "reconciled": True}
    assert row_counts(history)[list(expected)].to_dict() == expected
    rejected = "SELECT image_uri, reason, has_prediction FROM analyst.rescoring_rejection ORDER BY image_uri"
    assert [Path(uri).name for uri in frame(analyst, rejected)["image_uri"]] == [gone.name, changed.name]
    assert "2 of them with missing or changed files" in values(history)["waiting"]

    changed.write_bytes(whole)
    counts = rescore(site, accept_missing=True)

    assert (counts["planned"], counts["scored"], counts["rejected"], counts["missing"]) == (2, 1, 1, 1)
    assert shown(history) == everything_of(OTHER)
    assert scalar(analyst, "SELECT n_missing FROM analyst.champion") == 1
    assert frame(analyst, rejected)["has_prediction"].tolist() == [False, True]
    # The visit that lacks a joint says little about the models, so it is not compared.
    n_visits, n_compared = (
        scalar(analyst, query)
        for query in (
            "SELECT count(*) FROM analyst.rau_by_visit WHERE n_scored IS NOT NULL",
            "SELECT n FROM analyst.model_comparison WHERE measure = 'rau_visit'",
        )
    )
    assert n_compared == n_visits - 1


def test_rescore_rejects_no_image_if_the_storage_is_unavailable(history):
    site, landing = history.site, Path(history.site.landing_url)
    promote(site)
    landing.rename(landing.with_name("elsewhere"))
    with pytest.raises(StorageUnavailable, match="is mounted"):
        rescore(site)
    assert scalar(history.engine, "SELECT count(*) FROM scoring.rescoring_rejection") == 0

    assert rescore(site, accept_missing=True)["scored"] == 0


def test_rescore_rejects_a_changed_model_before_it_scores(history):
    site = history.site
    promote(site)
    weights = Path(site.model_store_url) / OTHER / "network.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelRejected, match=r"network\.bin was changed"):
        rescore(site)
    assert scalar(history.engine, "SELECT count(*) FROM scoring.run WHERE job = 'rescoring'") == 0


def test_close_run_fails_if_steps_were_killed(history):
    site = in_shards(history.site, 40)
    promote(site)
    opened = open_run(site, "manual__1")
    rescoring.score(site, opened, rescoring.plan(site, opened)[0])
    with pytest.raises(ReconciliationFailed) as failed:
        rescoring.close_run(site, opened, unfinished=["analyse", "activate"])
    assert "analyse did not finish" in str(failed.value)
    assert f"{history.n_images(2)} images planned but 40 accounted for" in str(failed.value)
    assert f"the views show {SHIPPED_VERSION}" in str(failed.value)


@pytest.mark.slow
def test_cleared_steps_count_every_image_once(history):
    site, n_images = in_shards(history.site, 40), history.n_images(2)
    promote(site)
    opened = open_run(site, "manual__1")
    shards = rescoring.plan(site, opened)
    for shard in [*shards, shards[0]]:
        rescoring.score(site, opened, shard)
    for _ in range(2):
        rescoring.analyse(site, opened)
        rescoring.activate(site, opened)
        counts = rescoring.close_run(site, opened)
        assert counts == {"planned": n_images, "scored": n_images, "already_scored": 0, "rejected": 0}
    assert scalar(history.engine, "SELECT count(*) FROM scoring.activation") == 2
