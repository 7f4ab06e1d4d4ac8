"""A new champion as operator and analyst live it: promoted, rescored, killed half-way, switched, taken back."""

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from scoring.clinical.joints import joint_by_column
from scoring.commands import status
from scoring.errors import BadInput, InvalidRequest, ModelRejected, ReconciliationFailed, StorageUnavailable
from scoring.model_store.store import SHIPPED_VERSION
from scoring.phantom.batches import write_batches
from scoring.pipeline import models, nightly, rescoring
from scoring.settings import Settings
from scoring.training.evaluation.metrics import confusion_matrix, quadratic_weighted_kappa
from scoring.warehouse import connect
from scoring.warehouse.publish import correlation
from tests.lib.models import write_other_model

NIGHTS = [date(2026, 11, 20) + timedelta(days=day) for day in range(3)]
OTHER = "other-1"


@pytest.fixture(scope="module")
def past(new_warehouse, tmp_path_factory):
    """Two nights scored with the shipped model, and a third that has landed: made once, copied for every test."""
    var_dir = tmp_path_factory.mktemp("past")
    with new_warehouse() as template:
        site = Settings(var_dir=var_dir, warehouse_url=template.job_url, code_revision="test", _env_file=None)
        written = write_batches(site.landing_url, seed=4, first_batch=NIGHTS[0], batches=3, n_patients=8)
        for night in NIGHTS[:2]:
            run_batch(site, night)
        # PostgreSQL copies no database that somebody is connected to.
        connect.warehouse(site).dispose()
        template.close()
        yield template.name, Path(site.landing_url), written


@pytest.fixture
def warehouse(new_warehouse, past):
    with new_warehouse(past[0]) as made:
        yield made


@pytest.fixture
def history(site, warehouse, past):
    """An installation with that past, and another model in its store; with what was written for each night."""
    _, landing, written = past
    shutil.copytree(landing, site.landing_url)
    with warehouse.engine(warehouse.superuser_url).begin() as connection:
        connection.execute(
            sa.text("UPDATE imaging.joint_image SET uri = replace(uri, :then, :now)"),
            {"then": str(landing), "now": site.landing_url},
        )
    write_other_model(site.model_store_url, OTHER)
    return site.model_copy(update={"shard_size": 50}), written


def run_batch(site, night):
    return nightly.run_batch(site, night, triggered_by="tester")


def promote(site, version=OTHER):
    return models.promote(site, version=version, promoted_by="a steward", reason="better on the frozen set")


def rescore(site, *, accept_missing=False):
    return rescoring.rescore(site, accept_missing=accept_missing, triggered_by="tester")


def scalar(engine, statement, **values):
    with engine.connect() as connection:
        return connection.scalar(sa.text(statement), values)


def frame(engine, statement, **values):
    with engine.connect() as connection:
        return pd.read_sql_query(sa.text(statement), connection, params=values)


def shown(engine):
    """Which model an analyst's numbers come from: joints, visits and correlations must never disagree."""
    return {
        (model, view)
        for view in ("current_joint_prediction", "rau_by_visit", "rau_by_radiograph", "champion")
        for model in frame(engine, f"SELECT DISTINCT model_version FROM analyst.{view}")["model_version"].dropna()  # noqa: S608 - our own names
    }


def everything_of(model):
    return {(model, view) for view in ("current_joint_prediction", "rau_by_visit", "rau_by_radiograph", "champion")}


def n_predictions(engine, model):
    return scalar(engine, "SELECT count(*) FROM scoring.joint_prediction WHERE model_version = :model", model=model)


def test_the_history_comes_over_and_the_views_switch_at_its_end(history, warehouse):
    site, written = history
    analyst, engine = warehouse.engine(warehouse.analyst_url), warehouse.engine()
    n_images = sum(night.n_images for night in written[:2])

    assert promote(site) == SHIPPED_VERSION
    assert shown(analyst) == everything_of(SHIPPED_VERSION)
    lines = dict(status.overview(site, 1).lines)
    assert lines["champion"].startswith(SHIPPED_VERSION)
    assert lines["promoted"].startswith(OTHER)
    assert lines["waiting"].startswith(f"{n_images} images for {OTHER}")

    counts = rescore(site)

    assert (counts["planned"], counts["scored"], counts["refused"], counts["missing"]) == (n_images, n_images, 0, 0)
    assert shown(analyst) == everything_of(OTHER)
    assert n_predictions(engine, SHIPPED_VERSION) == n_predictions(engine, OTHER) == n_images
    assert "promoted" not in dict(status.overview(site, 1).lines)
    books = frame(engine, "SELECT * FROM analyst.run_reconciliation WHERE job = 'rescoring'").iloc[0]
    assert (books["status"], books["planned"], books["scored"], books["balanced"]) == (
        "succeeded",
        n_images,
        n_images,
        True,
    )


def test_a_rescored_history_keeps_its_nights_and_its_correlations(history, warehouse):
    site, _ = history
    promote(site)
    rescore(site)

    engine = warehouse.engine()
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


def test_killed_in_the_second_shard_it_goes_on_where_it_stopped(history, warehouse, monkeypatch):
    site, written = history
    analyst, engine = warehouse.engine(warehouse.analyst_url), warehouse.engine()
    n_images = sum(night.n_images for night in written[:2])
    promote(site)
    before = frame(analyst, "SELECT * FROM analyst.rau_by_visit ORDER BY patient_id, visit_date")

    from scoring.warehouse.publish import predictions as store

    publish_rau, calls = store.publish_rau, []

    def killed_the_second_time(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("killed")
        return publish_rau(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store, "publish_rau", killed_the_second_time)
        with pytest.raises(RuntimeError, match="killed"):
            rescore(site)

    assert n_predictions(engine, OTHER) == 50, "the first shard stays, nothing of the second does"
    pd.testing.assert_frame_equal(
        frame(analyst, "SELECT * FROM analyst.rau_by_visit ORDER BY patient_id, visit_date"), before
    )
    failed = frame(engine, "SELECT * FROM analyst.run_reconciliation WHERE job = 'rescoring'").iloc[0]
    assert (failed["status"], failed["planned"], failed["scored"], failed["balanced"]) == (
        "failed",
        n_images,
        50,
        False,
    )
    assert "RuntimeError" in failed["message"]

    counts = rescore(site)

    assert (counts["planned"], counts["scored"]) == (n_images - 50, n_images - 50)
    assert n_predictions(engine, OTHER) == n_images
    assert shown(analyst) == everything_of(OTHER)
    assert scalar(engine, "SELECT count(DISTINCT run_id) FROM scoring.joint_prediction") == 4


def test_a_process_that_is_killed_leaves_whole_shards_and_the_next_one_completes(history, warehouse):
    site, written = history
    analyst, engine = warehouse.engine(warehouse.analyst_url), warehouse.engine()
    n_images = sum(night.n_images for night in written[:2])
    promote(site)
    environment = os.environ | {
        "SCORING_VAR_DIR": str(site.var_dir),
        "SCORING_WAREHOUSE_URL": warehouse.job_url,
        "SCORING_SHARD_SIZE": "2",
    }
    process = subprocess.Popen(
        [Path(sys.executable).parent / "scoring", "rescore"], env=environment, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 120
    while n_predictions(engine, OTHER) < 4 and time.monotonic() < end:
        time.sleep(0.1)
    process.kill()
    assert process.wait() == -signal.SIGKILL

    n_done = n_predictions(engine, OTHER)
    assert 4 <= n_done < n_images
    assert n_done % 2 == 0
    assert shown(analyst) == everything_of(SHIPPED_VERSION)
    assert frame(engine, "SELECT status FROM analyst.run_reconciliation WHERE job = 'rescoring'")[
        "status"
    ].tolist() == [None]

    counts = rescore(site)

    assert counts["scored"] == n_images - n_done
    assert n_predictions(engine, OTHER) == n_images
    assert shown(analyst) == everything_of(OTHER)


def test_a_long_history_gets_larger_shards_and_not_more_than_airflow_maps(history, monkeypatch):
    site, written = history
    promote(site)
    monkeypatch.setattr(rescoring, "MAX_SHARDS", 3)
    opened = rescoring.open_run(site, trigger="cli", triggered_by="tester")
    shards = rescoring.plan(site.model_copy(update={"shard_size": 2}), opened)
    assert len(shards) == 3
    assert [shard.first for shard in shards] == [0, shards[0].count, shards[0].count + shards[1].count]
    assert sum(shard.count for shard in shards) == sum(night.n_images for night in written[:2])


def test_rescoring_again_changes_nothing(history, warehouse):
    site, _ = history
    promote(site)
    rescore(site)
    engine = warehouse.engine()
    before = correlation.digest(engine)
    counts = rescore(site)
    assert counts["planned"] == 0
    assert correlation.digest(engine) == before
    assert scalar(engine, "SELECT count(*) FROM scoring.activation") == 2


def test_nights_between_promotion_and_activation_go_on_with_the_champion(history, warehouse):
    site, written = history
    engine = warehouse.engine()
    promote(site)
    run_batch(site, NIGHTS[2])
    assert n_predictions(engine, OTHER) == 0
    assert n_predictions(engine, SHIPPED_VERSION) == sum(night.n_images for night in written)

    rescore(site)
    write_batches(site.landing_url, seed=5, first_batch=NIGHTS[2] + timedelta(days=1), batches=1, n_patients=4)
    run_batch(site, NIGHTS[2] + timedelta(days=1))

    assert n_predictions(engine, SHIPPED_VERSION) == sum(night.n_images for night in written)
    assert n_predictions(engine, OTHER) > n_predictions(engine, SHIPPED_VERSION)


def test_what_lands_while_the_history_is_rescored_is_scored_before_the_switch(history, warehouse, monkeypatch):
    site, written = history
    engine = warehouse.engine()
    promote(site)
    analyse = rescoring.analyse

    def a_night_comes_between(*arguments):
        n_dates = analyse(*arguments)
        run_batch(site, NIGHTS[2])
        return n_dates

    monkeypatch.setattr(rescoring, "analyse", a_night_comes_between)
    counts = rescore(site)

    n_images = sum(night.n_images for night in written)
    assert counts["late"] == written[2].n_images
    assert (counts["planned"], counts["scored"]) == (n_images, n_images)
    assert scalar(engine, "SELECT count(*) FROM analyst.current_joint_prediction") == n_images
    champions = "SELECT count(DISTINCT as_of) FROM analyst.correlation WHERE is_champion"
    assert scalar(engine, champions) == 3
    visits = frame(
        engine,
        "SELECT model_version, n_visits FROM analytics.correlation WHERE as_of = :night AND damage = 'predicted_rau'"
        " AND activity = 'das28_esr4' AND method = 'spearman'",
        night=NIGHTS[2],
    )
    assert visits["n_visits"].nunique() == 1
    assert len(visits) == 2


def test_a_night_in_progress_at_the_switch_is_brought_over_by_another_rescoring(history, warehouse):
    site, written = history
    opened = nightly.open_run(site, NIGHTS[2], trigger="cli", triggered_by="tester")
    nightly.land(site, opened)
    promote(site)
    rescore(site)
    nightly.validate(site, opened)
    nightly.publish_registry(site, opened)
    for shard in nightly.plan(site, opened):
        nightly.score(site, opened, shard)
    nightly.publish_predictions(site, opened)
    nightly.analyse(site, opened)
    with pytest.raises(ReconciliationFailed, match=f"{written[2].n_images} wait for {OTHER}.*`scoring rescore`"):
        nightly.close_run(site, opened)
    assert dict(status.overview(site, 1).lines)["waiting"].startswith(f"{written[2].n_images} images for {OTHER}")

    counts = rescore(site)

    assert counts["scored"] == written[2].n_images
    n_images = sum(night.n_images for night in written)
    assert scalar(warehouse.engine(), "SELECT count(*) FROM analyst.current_joint_prediction") == n_images
    bridged = "SELECT n FROM analyst.model_comparison WHERE is_champion AND measure = 'erosion' AND joint_kind = 'all'"
    assert scalar(warehouse.engine(), f"{bridged} AND old_grade = 'all'") == n_images
    assert "waiting" not in dict(status.overview(site, 1).lines)
    nightly.close_run(site, opened)


def test_a_radiograph_that_the_registry_moves_meanwhile_takes_its_new_score_along(history, warehouse, monkeypatch):
    site, _ = history
    engine = warehouse.engine()
    radiograph, visit = frame(
        engine, "SELECT sop_iuid, visit_date FROM analyst.rau_by_radiograph ORDER BY sop_iuid"
    ).iloc[0]
    promote(site)
    analyse = rescoring.analyse

    def the_registry_corrects(*arguments):
        table = Path(site.landing_url) / NIGHTS[0].isoformat() / "consultations.csv"
        lines = table.read_text().splitlines(keepends=True)
        moved = str(visit - timedelta(days=1))
        table.write_text("".join(line.replace(str(visit), moved, 1) if radiograph in line else line for line in lines))
        run_batch(site, NIGHTS[0])
        return analyse(*arguments)

    monkeypatch.setattr(rescoring, "analyse", the_registry_corrects)
    rescore(site)

    moved = frame(
        engine,
        "SELECT visit_date, model_version FROM analyst.rau_by_radiograph WHERE sop_iuid = :radiograph",
        radiograph=radiograph,
    )
    assert moved.to_numpy().tolist() == [[visit - timedelta(days=1), OTHER]]


def test_going_back_is_one_command_while_nothing_new_has_come(history, warehouse):
    site, written = history
    analyst = warehouse.engine(warehouse.analyst_url)
    promote(site)
    rescore(site)
    assert promote(site, SHIPPED_VERSION) is None
    assert shown(analyst) == everything_of(SHIPPED_VERSION)
    pairs = frame(
        analyst, "SELECT DISTINCT old_model, new_model, is_champion FROM analyst.model_comparison ORDER BY old_model"
    )
    assert pairs.to_numpy().tolist() == [[OTHER, SHIPPED_VERSION, True], [SHIPPED_VERSION, OTHER, False]]

    # And forth; but now a night comes that only the one has scored.
    assert promote(site) is None
    run_batch(site, NIGHTS[2])
    assert promote(site, SHIPPED_VERSION) == OTHER
    assert shown(analyst) == everything_of(OTHER)
    assert rescore(site)["scored"] == written[2].n_images
    assert shown(analyst) == everything_of(SHIPPED_VERSION)


def test_a_promotion_may_be_taken_back_before_its_history_is_rescored(history, warehouse):
    site, _ = history
    promote(site)
    assert promote(site, SHIPPED_VERSION) is None
    assert "promoted" not in dict(status.overview(site, 1).lines)
    assert rescore(site)["planned"] == 0
    assert n_predictions(warehouse.engine(), OTHER) == 0


def test_a_promotion_meanwhile_stops_the_switch_and_keeps_what_was_scored(history, warehouse, monkeypatch):
    site, _ = history
    promote(site)
    analyse = rescoring.analyse
    monkeypatch.setattr(rescoring, "analyse", lambda *arguments: (analyse(*arguments), promote(site, SHIPPED_VERSION)))
    with pytest.raises(InvalidRequest, match=f"{OTHER} is not the promoted model any more, {SHIPPED_VERSION} is"):
        rescore(site)
    assert shown(warehouse.engine()) == everything_of(SHIPPED_VERSION)
    assert n_predictions(warehouse.engine(), OTHER) > 0


def test_images_that_are_gone_or_changed_need_a_word_of_a_person(history, warehouse):
    site, written = history
    analyst, engine = warehouse.engine(warehouse.analyst_url), warehouse.engine()
    n_images = sum(night.n_images for night in written[:2])
    gone, changed = sorted((Path(site.landing_url) / NIGHTS[0].isoformat() / "joints").glob("*.jpg"))[:2]
    whole = changed.read_bytes()
    gone.unlink()
    changed.write_bytes(whole[:-100])
    promote(site)

    with pytest.raises(BadInput, match=r"2 accepted images cannot be scored.*gone since.*--accept-missing"):
        rescore(site)
    assert shown(analyst) == everything_of(SHIPPED_VERSION)
    books = frame(engine, "SELECT * FROM analyst.run_reconciliation WHERE job = 'rescoring'").iloc[0]
    assert (books["planned"], books["scored"], books["refused"], books["balanced"]) == (n_images, n_images - 2, 2, True)
    assert books["status"] == "failed"
    listed = frame(
        analyst, "SELECT image_uri, reason, has_prediction FROM analyst.rescoring_rejection ORDER BY image_uri"
    )
    assert [Path(uri).name for uri in listed["image_uri"]] == [gone.name, changed.name]
    assert "of 2 the files are gone or changed" in dict(status.overview(site, 1).lines)["waiting"]

    changed.write_bytes(whole)
    counts = rescore(site, accept_missing=True)

    assert (counts["planned"], counts["scored"], counts["refused"], counts["missing"]) == (2, 1, 1, 1)
    assert shown(analyst) == everything_of(OTHER)
    assert scalar(analyst, "SELECT n_missing FROM analyst.champion") == 1
    after = frame(analyst, "SELECT image_uri, has_prediction FROM analyst.rescoring_rejection ORDER BY image_uri")
    assert after["has_prediction"].tolist() == [False, True]
    # The visit that lacks a joint says little about the models: it is no part of the bridge.
    n_visits, n_bridged = (
        scalar(analyst, query)
        for query in (
            "SELECT count(*) FROM analyst.rau_by_visit WHERE n_scored IS NOT NULL",
            "SELECT n FROM analyst.model_comparison WHERE measure = 'rau_visit'",
        )
    )
    assert n_bridged == n_visits - 1


def test_a_storage_that_is_away_as_a_whole_is_no_reason_to_refuse_every_image(history, warehouse):
    site, _ = history
    promote(site)
    landing = Path(site.landing_url)
    landing.rename(landing.with_name("elsewhere"))
    with pytest.raises(StorageUnavailable, match="still mounted"):
        rescore(site)
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.rescoring_rejection") == 0

    assert rescore(site, accept_missing=True)["scored"] == 0


def test_a_promoted_model_whose_files_were_changed_is_refused_before_anything_is_scored(history, warehouse):
    site, _ = history
    promote(site)
    weights = Path(site.model_store_url) / OTHER / "network.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelRejected, match=r"network\.bin was changed"):
        rescore(site)
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.run WHERE job = 'rescoring'") == 0


def test_a_step_that_was_killed_without_a_word_fails_the_gate(history):
    site, _ = history
    promote(site)
    opened = rescoring.open_run(site, trigger="manual__1", triggered_by="tester")
    for shard in rescoring.plan(site, opened)[:1]:
        rescoring.score(site, opened, shard)
    with pytest.raises(ReconciliationFailed) as failed:
        rescoring.close_run(site, opened, unfinished=["analyse", "activate"])
    assert "analyse did not finish" in str(failed.value)
    assert "50 accounted for" in str(failed.value)
    assert f"the views show {SHIPPED_VERSION}" in str(failed.value)


def test_steps_that_are_cleared_and_run_again_count_every_image_once(history, warehouse):
    site, written = history
    n_images = sum(night.n_images for night in written[:2])
    promote(site)
    opened = rescoring.open_run(site, trigger="manual__1", triggered_by="tester")
    shards = rescoring.plan(site, opened)
    for shard in [*shards, *shards[:1]]:
        rescoring.score(site, opened, shard)
    for _ in range(2):
        rescoring.analyse(site, opened)
        rescoring.activate(site, opened)
        books = rescoring.close_run(site, opened)
        assert books == {"planned": n_images, "scored": n_images, "already_scored": 0, "refused": 0}
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.activation") == 2


def test_the_bridge_holds_what_pandas_makes_of_the_predictions(history, warehouse):
    site, _ = history
    promote(site)
    rescore(site)
    engine = warehouse.engine()
    bridge = frame(engine, "SELECT * FROM analyst.model_comparison").set_index(["measure", "joint_kind", "old_grade"])
    predictions = frame(
        engine,
        "SELECT image_sha256, model_version, joint, CAST(predicted_percent AS double precision) AS predicted_percent,"
        " predicted_grade FROM scoring.joint_prediction",
    )
    old, new = (predictions[predictions["model_version"] == model] for model in (SHIPPED_VERSION, OTHER))
    pairs = old.merge(new, on=["image_sha256", "joint"], suffixes=("_old", "_new"), validate="one_to_one")
    pairs["kind"] = [joint_by_column(joint).kind for joint in pairs["joint"]]
    assert (pairs["predicted_grade_old"] != pairs["predicted_grade_new"]).any(), "models that agree prove nothing"

    strata = {("erosion", "all", "all"): pairs}
    strata |= {("erosion", kind, "all"): rows for kind, rows in pairs.groupby("kind")}
    strata |= {("erosion", "all", str(grade)): rows for grade, rows in pairs.groupby("predicted_grade_old")}
    strata |= {("erosion", k, str(g)): rows for (k, g), rows in pairs.groupby(["kind", "predicted_grade_old"])}
    assert set(bridge.loc[["erosion"]].index) == set(strata)
    for stratum, rows in strata.items():
        found = bridge.loc[stratum]
        check_shift(found, rows["erosion_mean_old"], rows["erosion_mean_new"], with_line=stratum[2] == "all")
        confusion = confusion_matrix(rows["predicted_grade_old"], rows["predicted_grade_new"])
        distance = (rows["predicted_grade_old"] - rows["predicted_grade_new"]).abs()
        assert [found[f"n_new_grade_{grade}"] for grade in range(6)] == confusion.sum(axis=0).tolist()
        assert found["same_grade"] == pytest.approx((distance == 0).mean())
        assert found["within_one_grade"] == pytest.approx((distance <= 1).mean())
        kappa = quadratic_weighted_kappa(confusion) if stratum[2] == "all" else np.nan
        assert found["quadratic_weighted_kappa"] == pytest.approx(kappa, nan_ok=True)

    for scope in ("radiograph", "visit"):
        scores = frame(
            engine,
            "SELECT patient_id, visit_date, sop_iuid, model_version, rau_expected FROM scoring.rau_prediction"
            " WHERE scope = :scope",
            scope=scope,
        ).pivot_table(index=["patient_id", "visit_date", "sop_iuid"], columns="model_version", values="rau_expected")
        found = bridge.loc[(f"rau_{scope}", "all", "all")]
        check_shift(found, scores[SHIPPED_VERSION], scores[OTHER], with_line=True)
        assert pd.isna(found["same_grade"])
        assert pd.isna(found["n_new_grade_0"])
    assert len(bridge.drop("erosion", level="measure")) == 2


def check_shift(found, old, new, *, with_line):
    old, new = old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64)
    shift = new - old
    sd = shift.std(ddof=1) if len(shift) > 1 else np.nan
    expected = {
        "n": len(shift),
        "mean_shift": shift.mean(),
        "sd_shift": sd,
        "loa_low": shift.mean() - 1.96 * sd,
        "loa_high": shift.mean() + 1.96 * sd,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True, rel=1e-6), name
    if with_line:
        # Deming's line for equal error variances is the first principal axis.
        axis = np.linalg.svd(np.column_stack([old - old.mean(), new - new.mean()]), full_matrices=False)[2][0]
        assert found["slope"] == pytest.approx(axis[1] / axis[0], rel=1e-6)
        assert found["intercept"] == pytest.approx(new.mean() - found["slope"] * old.mean(), rel=1e-6, abs=1e-9)
    else:
        assert pd.isna(found["slope"])
