"""The DAG `rescoring`, run by Airflow's own `dag.test` on a real warehouse."""

from datetime import date
from pathlib import Path

import pytest

from scoring.model_store.store import SHIPPED_VERSION
from tests.lib.models import write_other_model

# Airflow's in-process server imports a test client that announces its successor.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

NIGHT = date(2026, 11, 21)
BOOKS = (
    "SELECT trigger, status, planned, scored, balanced, message FROM analyst.run_reconciliation WHERE job = 'rescoring'"
)


@pytest.fixture
def promoted(run_dag, warehouse):
    """An installation with one night of the shipped model, and another one that was promoted since."""
    from scoring.phantom.batches import write_batches
    from scoring.pipeline import models, nightly
    from scoring.settings import Settings
    from scoring.warehouse import connect

    site = Settings(warehouse_url=warehouse.job_url, _env_file=None)
    (night,) = write_batches(site.landing_url, seed=3, first_batch=NIGHT, batches=1, n_patients=6)
    nightly.run_batch(site, NIGHT, triggered_by="tester")
    models.promote(site, version=write_other_model(site.model_store_url), promoted_by="a steward", reason="better")
    yield site, night
    connect.warehouse(site).dispose()
    connect._engine.cache_clear()


def ask(warehouse, query):
    with warehouse.engine().connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_without_any_parameter_the_history_comes_over(run_dag, promoted, warehouse, monkeypatch):
    monkeypatch.setenv("SCORING_SHARD_SIZE", "60")
    n_images = promoted[1].n_images
    dag_run = run_dag(None, "rescoring")

    assert str(dag_run.state) == "success"
    tasks = [(ti.task_id, str(ti.state)) for ti in dag_run.get_task_instances()]
    assert {state for _, state in tasks} == {"success"}
    assert tasks.count(("score", "success")) == -(-n_images // 60) > 1
    shown = "SELECT model_version, count(*) FROM analyst.current_joint_prediction GROUP BY 1"
    assert ask(warehouse, shown) == [("other-1", n_images)]
    assert ask(warehouse, BOOKS) == [(dag_run.run_id, "succeeded", n_images, n_images, True, "")]


def test_a_missing_image_fails_the_gate_until_a_person_accepts_it(run_dag, states, promoted, warehouse):
    site, _ = promoted
    image = min((Path(site.landing_url) / NIGHT.isoformat() / "joints").glob("*.jpg"))
    image.unlink()
    failed = run_dag(None, "rescoring")

    assert str(failed.state) == "failed"
    assert states(failed) == {
        "open_run": "success",
        "plan": "success",
        "score": "success",
        "analyse": "success",
        "activate": "failed",
        "close_run": "failed",
    }
    # A file that is gone is not tried again.
    assert {ti.task_id: ti.try_number for ti in failed.get_task_instances()}["activate"] == 1
    ((*_, message),) = ask(warehouse, BOOKS)
    assert image.name in message
    assert "accept_missing" in message
    assert ask(warehouse, "SELECT model_version FROM analyst.champion") == [(SHIPPED_VERSION,)]

    accepted = run_dag({"accept_missing": True}, "rescoring")
    assert str(accepted.state) == "success"
    assert ask(warehouse, "SELECT model_version, n_missing FROM analyst.champion") == [("other-1", 1)]


def test_a_history_that_is_complete_is_a_success_that_scores_nothing(run_dag, states, promoted, warehouse):
    from scoring.pipeline import models

    models.promote(promoted[0], version=SHIPPED_VERSION, promoted_by="a steward", reason="back again")
    dag_run = run_dag(None, "rescoring")

    assert str(dag_run.state) == "success"
    assert states(dag_run)["score"] == "skipped"
    assert ask(warehouse, BOOKS) == [(dag_run.run_id, "succeeded", 0, 0, True, "")]
