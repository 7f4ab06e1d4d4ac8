"""The retraining DAG, run by Airflow's own `dag.test` on a real warehouse with joints that a tiny network can read."""

from collections.abc import Iterator

import pytest

from tests.lib.bars import write_bar_batches
from tests.lib.history import BATCHES, History, Past, as_past, new_settings, promote, run_batch
from tests.lib.models import TINY, write_untrained_model

# Airflow's in-process server imports a test client that announces its successor.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

BATCH, UNTRAINED = BATCHES[0], "untrained-1"


@pytest.fixture(scope="module")
def past(new_warehouse, tmp_path_factory) -> Iterator[Past]:
    """One batch that an untrained network has scored."""
    with new_warehouse() as warehouse:
        site = new_settings(tmp_path_factory.mktemp("past"), warehouse)
        batches = write_bar_batches(site.landing_url, seed=3, first_batch=BATCH, batches=1, n_patients=120, years=0.5)
        promote(site, write_untrained_model(site.model_store_url, UNTRAINED))
        run_batch(site, BATCH)
        yield as_past(History(site, warehouse, tuple(batches)))


@pytest.fixture
def warehouse(new_warehouse, past, use_installation, tmp_path, monkeypatch):
    """A copy of the warehouse of `past`. The tests share its landing folder and, so that one trains, its models."""
    from scoring.training import recipes

    tiny = recipes.TrainingRecipe(
        epochs=3, batch_size=8, learning_rate=0.01, warmup_steps=5, precision="float32", arguments=TINY,
        rotation=0, zoom=0, shift=0, contrast=0, brightness=0,
    )  # fmt: skip
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": tiny})
    with new_warehouse(past.database) as copied:
        use_installation(
            tmp_path / "var",
            copied,
            SCORING_LANDING_URL=str(past.var_dir / "landing"),
            SCORING_MODEL_STORE_URL=str(past.var_dir / "models"),
            SCORING_MIN_TRAINING_PATIENTS="50",
        )
        yield copied


def set_paused(dag_id, paused):
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.get(DagModel, dag_id).is_paused = paused


def challenges(warehouse):
    with warehouse.engine().connect() as connection:
        found = connection.exec_driver_sql("SELECT * FROM analyst.challenge ORDER BY challenge_id").mappings()
        return [dict(row) for row in found]


def champion(warehouse):
    with warehouse.engine().connect() as connection:
        return connection.exec_driver_sql("SELECT model_version FROM analyst.champion").scalar()


@pytest.mark.slow
def test_retraining_without_approval_promotes_a_better_challenger_and_no_other(run_dag, states, warehouse):
    dag_run = run_dag("retraining", recipes=["tiny"], approval="none")
    assert str(dag_run.state) == "success"
    found = states(dag_run)
    assert (found.pop("worth_asking"), found.pop("ask")) == ("success", "skipped")
    assert set(found.values()) == {"success"}
    (better,) = challenges(warehouse)
    assert better["challenger"].startswith(f"tiny-{BATCH}-")
    assert (better["decision"], better["decided_by"]) == ("promoted", "dag_test")
    # `rescore` has started the other DAG, and the challenger becomes the champion when that one ends.
    assert champion(warehouse) == UNTRAINED
    assert str(run_dag("rescoring").state) == "success"
    assert champion(warehouse) == better["challenger"]

    # The same challenger is no better than itself: the run succeeds, records the reason and asks no person.
    again = run_dag("retraining", recipes=["tiny"], approval="person")
    assert str(again.state) == "success"
    assert (states(again)["ask"], states(again)["rescore"]) == ("skipped", "skipped")
    assert states(again)["decide"] == "success"
    no_better = challenges(warehouse)[-1]
    assert no_better["decision"] == "rejected by the gate"
    assert "not shown to be better" in no_better["reasons"][0]
    assert champion(warehouse) == better["challenger"]


@pytest.mark.slow
def test_retraining_fails_if_rescoring_is_paused(run_dag, states, warehouse):
    """A paused `rescoring` would only be queued, and nobody would notice that the promotion never takes effect."""
    set_paused("rescoring", True)
    try:
        dag_run = run_dag("retraining", recipes=["tiny"], approval="none")
    finally:
        set_paused("rescoring", False)
    found = states(dag_run)
    assert (str(dag_run.state), found["decide"], found["rescore"]) == ("failed", "success", "failed")
    assert challenges(warehouse)[-1]["decision"] == "promoted"
    assert champion(warehouse) == UNTRAINED


def test_retraining_fails_with_the_reason_if_the_set_has_too_few_patients(run_dag, states, warehouse, monkeypatch):
    from scoring.settings import get_settings

    monkeypatch.setenv("SCORING_MIN_TRAINING_PATIENTS", "1000")
    get_settings.cache_clear()
    dag_run = run_dag("retraining", recipes=["tiny"], approval="none")
    assert str(dag_run.state) == "failed"
    assert states(dag_run)["validate"] == states(dag_run)["close_run"] == "failed"
    assert {ti.task_id: ti.try_number for ti in dag_run.get_task_instances()}["validate"] == 1
    assert champion(warehouse) == UNTRAINED
    with warehouse.engine().connect() as connection:
        message = connection.exec_driver_sql(
            "SELECT message FROM scoring.run_result INNER JOIN scoring.run USING (run_id) WHERE job = 'retraining'"
        ).scalar()
    assert "The readings come from fewer than 1000 patients" in message
