"""Models: registered, promoted, and activated once the history has been rescored."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from sqlalchemy.engine import Engine

from scoring.errors import InvalidRequest, ModelRejected
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import analytics, predictions, promotions
from scoring.warehouse.publish import rescoring as published_rescoring
from scoring.warehouse.queries import analysis, models, rescoring
from tests.lib.staged import BATCH, MODEL, PREPROCESSING, RUN, manifest, prediction, prediction_run, rau_of
from tests.lib.warehouse import rows


def register(engine: Engine, version: str = "test-2") -> str:
    promotions.register_model(engine, manifest(version, weights="b"))
    return version


def champion(engine: Engine) -> models.Champion:
    with transaction(engine) as connection:
        return models.champion(connection)


def promoted(engine: Engine) -> models.PromotedModel:
    with transaction(engine) as connection:
        return models.promoted(connection)


def test_register_model_rejects_other_weights_and_an_incomplete_manifest(engine):
    assert promotions.register_model(engine, manifest()) is False
    with pytest.raises(ModelRejected, match="under a new version"):
        promotions.register_model(engine, manifest(weights="b"))
    with pytest.raises(ModelRejected, match="lacks 'architecture'"):
        promotions.register_model(engine, {k: v for k, v in manifest().items() if k != "architecture"})


def test_promote_makes_a_model_the_champion_at_once_without_a_history(engine):
    assert champion(engine)["model_version"] == MODEL
    assert promotions.promote(engine, register(engine), "a steward", "better on test patients") is True
    assert promotions.promote(engine, "test-2", "a steward", "again") is True
    assert rows(engine, "SELECT count(*) FROM scoring.promotion") == [(2,)]
    found = champion(engine)
    assert (found["model_version"], found["promoted_by"], found["trained_on_synthetic"]) == (
        "test-2",
        "a steward",
        True,
    )
    with pytest.raises(InvalidRequest, match="not registered"):
        promotions.promote(engine, "test-3", "a steward", "why not")


def test_promote_keeps_the_champion_until_the_history_is_complete(published):
    assert promotions.promote(published, register(published), "a steward", "better") is False
    assert promotions.promote(published, "test-2", "a steward", "again") is False
    assert (champion(published)["model_version"], promoted(published)["model_version"]) == (MODEL, "test-2")
    assert rows(published, "SELECT DISTINCT model_version FROM analyst.current_joint_prediction") == [(MODEL,)]
    with transaction(published) as connection:
        assert rescoring.n_waiting(connection, "test-2") == 2
        promotions.activate(connection, "test-2", run_id=RUN, n_missing=2)
    assert rows(published, "SELECT model_version, n_missing FROM analyst.champion") == [("test-2", 2)]
    assert rows(published, "SELECT count(*) FROM analyst.current_joint_prediction") == [(0,)]
    assert rows(published, "SELECT count(*), bool_or(is_champion) FROM analyst.lineage") == [(2, False)]


def test_promote_by_several_people_at_once_activates_the_last_promotion(champion_warehouse, engine):
    versions = [register(engine, f"test-{number}") for number in range(2, 6)]
    with ThreadPoolExecutor(len(versions)) as pool:
        assert all(
            pool.map(lambda version: promotions.promote(champion_warehouse.engine(), version, "x", "y"), versions)
        )
    assert {"activated_at": None} | promoted(engine) == champion(engine) | {"activated_at": None}
    assert rows(engine, "SELECT count(*) FROM scoring.activation") == [(5,)]


def test_activate_rejects_a_model_that_is_not_promoted(engine):
    register(engine)
    with (
        pytest.raises(InvalidRequest, match="promoted model is no longer test-2, but test-1"),
        transaction(engine) as connection,
    ):
        promotions.activate(connection, "test-2", run_id=None, n_missing=0)


def publish_correlation(engine: Engine, model_version: str) -> None:
    row = {"damage": "predicted_rau", "activity": "das28_crp3", "method": "spearman", "confidence": 0.95}
    figures = {"estimate": 0.1, "ci_low": 0.0, "ci_high": 0.2, "n_visits": 2, "n_patients": 2}
    with transaction(engine) as connection:
        analytics.publish_correlation(connection, BATCH, model_version, RUN, pd.DataFrame([row | figures]))


@pytest.mark.parametrize("lacking", ["image", "rau", "correlation"])
def test_is_complete_is_false_if_anything_of_the_history_is_missing(published, lacking):
    promotions.promote(published, register(published), "a steward", "better")
    publish_correlation(published, MODEL)
    run = prediction_run(model="test-2")
    with transaction(published) as connection:
        (planned,) = rescoring.waiting_images(connection, "test-2", rows_per_frame=10)
        seen = [row | {"sha256": row["image_sha256"]} for row in planned.to_dict("records")]
        scored = pd.DataFrame([prediction(row, 5.0) for row in seen[: 1 if lacking == "image" else 2]])
        counts = published_rescoring.publish_shard(connection, run, planned, scored, {})
        joints = analysis.radiograph_predictions(connection, "test-2", PREPROCESSING, list(planned["sop_iuid"]))
        predictions.publish_rau(connection, run, rau_of(joints if lacking != "rau" else joints[:1]))
    if lacking != "correlation":
        publish_correlation(published, "test-2")
    assert counts == published_rescoring.ShardCounts(2, len(scored), 0, 0)
    with transaction(published) as connection:
        assert not rescoring.is_complete(connection, "test-2")
        assert rescoring.is_complete(connection, MODEL)
        assert rescoring.n_waiting(connection, "test-2") == (1 if lacking == "image" else 0)
        assert rescoring.radiographs_without_rau(connection, "test-2") == (["1.2.4"] if lacking == "rau" else [])
        dates = rescoring.dates_without_correlation(connection, "test-2")
        assert dates == ([BATCH] if lacking == "correlation" else [])


def test_waiting_images_yields_consecutive_frames(published):
    register(published)
    with transaction(published) as connection:
        frames = list(rescoring.waiting_images(connection, "test-2", rows_per_frame=1))
    assert [list(frame["sop_iuid"]) for frame in frames] == [["1.2.3"], ["1.2.4"]]
    assert [list(frame["batch_date"]) for frame in frames] == [[BATCH], [BATCH]]
    assert list(frames[0]) == ["image_sha256", "sop_iuid", "joint", "uri", "batch_date"]
