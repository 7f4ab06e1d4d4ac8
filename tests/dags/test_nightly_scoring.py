"""The nightly DAG, run by Airflow's own `dag.test` on a real warehouse."""

import pytest

from tests.lib.history import BATCHES, scalar

# Airflow's in-process server imports a test client that announces its successor.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

BATCH = BATCHES[0]


@pytest.fixture
def write_batch(use_installation, warehouse, tmp_path):
    """Writes a batch into an empty installation, and returns its summary."""
    from scoring.phantom.batches import write_batches

    site = use_installation(tmp_path / "var", warehouse)

    def write(*faults):
        (batch,) = write_batches(site.landing_url, seed=3, first_batch=BATCH, batches=1, n_patients=2, faults=faults)
        return batch

    return write


def last_run(warehouse):
    with warehouse.engine().connect() as connection:
        return connection.exec_driver_sql(
            "SELECT DISTINCT trigger, status, message FROM analyst.run_reconciliation"
        ).one()


def test_nightly_scoring_publishes_a_batch_and_writes_its_report(run_dag, states, write_batch, warehouse, tmp_path):
    batch = write_batch()
    dag_run = run_dag("nightly_scoring", batch_date=BATCH.isoformat())

    assert str(dag_run.state) == "success"
    assert set(states(dag_run).values()) == {"success"}
    assert (tmp_path / "var" / "reports" / BATCH.isoformat() / "nightly.html").exists()
    scored = scalar(warehouse.engine(), "SELECT count(*) FROM analyst.current_joint_prediction")
    assert scored == batch.n_images > 0
    assert tuple(last_run(warehouse)) == (dag_run.run_id, "succeeded", "")


def test_nightly_scoring_of_an_unusable_batch_fails_without_retry_and_states_why(
    run_dag, states, write_batch, warehouse
):
    write_batch("missing_column")
    dag_run = run_dag("nightly_scoring", batch_date=BATCH.isoformat())

    assert str(dag_run.state) == "failed"
    assert states(dag_run)["close_run"] == "failed"
    assert {ti.task_id: ti.try_number for ti in dag_run.get_task_instances()}["land"] == 1
    assert scalar(warehouse.engine(), "SELECT count(*) FROM registry.consultation") == 0
    run = last_run(warehouse)
    assert run.status == "failed"
    assert "patient_id" in run.message
    assert "consultations.csv" in run.message


def test_nightly_scoring_of_an_empty_batch_succeeds_and_skips_score(run_dag, states, write_batch):
    write_batch("empty_batch")
    dag_run = run_dag("nightly_scoring", batch_date=BATCH.isoformat())

    assert str(dag_run.state) == "success"
    assert states(dag_run)["score"] == "skipped"
    assert states(dag_run)["close_run"] == "success"


def test_nightly_scoring_without_a_batch_date_fails_before_it_opens_a_run(run_dag, write_batch, warehouse):
    assert str(run_dag("nightly_scoring").state) == "failed"
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.run") == 0
