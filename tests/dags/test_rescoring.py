"""The rescoring DAG, run by Airflow's own `dag.test` on a real warehouse."""

from collections.abc import Iterator

import pytest

from scoring.model_store.store import SHIPPED_VERSION
from tests.lib.history import OTHER, History, Past, as_past, copy_past, make_past, promote

# Airflow's in-process server imports a test client that announces its successor.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

ROW_COUNTS = (
    "SELECT trigger, status, planned, scored, reconciled, message FROM analyst.run_reconciliation"
    " WHERE job = 'rescoring'"
)


@pytest.fixture(scope="module")
def promoted_past(new_warehouse, tmp_path_factory) -> Iterator[Past]:
    """One batch scored with the shipped model, and another model that was promoted since."""
    with (
        make_past(new_warehouse, tmp_path_factory.mktemp("past"), n_scored=1) as past,
        copy_past(past, new_warehouse, tmp_path_factory.mktemp("promoted")) as history,
    ):
        promote(history.site)
        yield as_past(history)


@pytest.fixture
def promoted(new_warehouse, promoted_past, use_installation, tmp_path) -> Iterator[History]:
    """A copy of `promoted_past`, as the installation of the DAG."""
    with copy_past(promoted_past, new_warehouse, tmp_path / "var") as history:
        use_installation(tmp_path / "var", history.warehouse, SCORING_SHARD_SIZE="40")
        yield history


def query(history, statement):
    with history.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def test_rescoring_scores_the_history_in_mapped_shards_without_any_parameter(run_dag, promoted):
    n_images = promoted.n_images(1)
    dag_run = run_dag("rescoring")

    assert str(dag_run.state) == "success"
    tasks = [(ti.task_id, str(ti.state)) for ti in dag_run.get_task_instances()]
    assert {state for _, state in tasks} == {"success"}
    assert tasks.count(("score", "success")) == -(-n_images // 40) > 1
    shown = "SELECT model_version, count(*) FROM analyst.current_joint_prediction GROUP BY 1"
    assert query(promoted, shown) == [(OTHER, n_images)]
    assert query(promoted, ROW_COUNTS) == [(dag_run.run_id, "succeeded", n_images, n_images, True, "")]

    # The history is complete, so another run succeeds and scores nothing.
    again = run_dag("rescoring")
    assert str(again.state) == "success"
    assert [ti.state for ti in again.get_task_instances() if ti.task_id == "score"] == ["skipped"]
    assert (again.run_id, "succeeded", 0, 0, True, "") in query(promoted, ROW_COUNTS)


def test_rescoring_with_a_missing_image_fails_until_a_person_accepts_it(run_dag, states, promoted):
    image = min((promoted.folder(0) / "joints").glob("*.jpg"))
    image.unlink()
    failed = run_dag("rescoring")

    assert str(failed.state) == "failed"
    assert states(failed) == {
        "open_run": "success",
        "plan": "success",
        "score": "success",
        "analyse": "success",
        "activate": "failed",
        "close_run": "failed",
    }
    # A missing file is not retried.
    assert {ti.task_id: ti.try_number for ti in failed.get_task_instances()}["activate"] == 1
    ((*_, message),) = query(promoted, ROW_COUNTS)
    assert image.name in message
    assert "accept_missing" in message
    assert query(promoted, "SELECT model_version FROM analyst.champion") == [(SHIPPED_VERSION,)]

    accepted = run_dag("rescoring", accept_missing=True)
    assert str(accepted.state) == "success"
    assert query(promoted, "SELECT model_version, n_missing FROM analyst.champion") == [(OTHER, 1)]
