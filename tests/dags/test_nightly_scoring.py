"""The DAG itself, run by Airflow's own `dag.test` on a real warehouse."""

from datetime import date

import pytest

# Airflow's in-process server imports a test client that announces its successor.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

NIGHT = date(2026, 11, 21)


@pytest.fixture
def landing(tmp_path):
    from scoring.phantom.batches import write_batches

    def land(*faults):
        return write_batches(
            str(tmp_path / "landing"), seed=3, first_batch=NIGHT, batches=1, n_patients=6, faults=faults
        )

    return land


def test_a_night_goes_through_and_its_page_is_written(run_dag, states, landing, warehouse, tmp_path):
    (night,) = landing()
    dag_run = run_dag({"batch_date": NIGHT.isoformat()})

    assert str(dag_run.state) == "success"
    assert set(states(dag_run).values()) == {"success"}
    assert (tmp_path / "var" / "reports" / NIGHT.isoformat() / "night.html").exists()
    with warehouse.engine().connect() as connection:
        scored = connection.exec_driver_sql("SELECT count(*) FROM analyst.current_joint_prediction").scalar()
        run = connection.exec_driver_sql("SELECT DISTINCT trigger, status FROM analyst.run_reconciliation").one()
    assert scored == night.n_images
    assert tuple(run) == (dag_run.run_id, "succeeded")


def test_a_night_that_cannot_be_used_is_failed_and_says_why(run_dag, states, landing, warehouse):
    landing("missing_column")
    dag_run = run_dag({"batch_date": NIGHT.isoformat()})

    assert str(dag_run.state) == "failed"
    assert states(dag_run)["close_run"] == "failed"
    # Bad data is not tried again.
    assert {ti.task_id: ti.try_number for ti in dag_run.get_task_instances()}["land"] == 1
    with warehouse.engine().connect() as connection:
        status, message = connection.exec_driver_sql(
            "SELECT DISTINCT status, message FROM analyst.run_reconciliation"
        ).one()
        assert connection.exec_driver_sql("SELECT count(*) FROM registry.consultation").scalar() == 0
    assert status == "failed"
    assert "patient_id" in message
    assert "consultations.csv" in message


def test_an_empty_night_is_a_success_that_scores_nothing(run_dag, states, landing):
    landing("empty_batch")
    dag_run = run_dag({"batch_date": NIGHT.isoformat()})

    assert str(dag_run.state) == "success"
    assert states(dag_run)["score"] == "skipped"
    assert states(dag_run)["close_run"] == "success"


def test_a_run_that_names_no_night_is_refused(run_dag, warehouse):
    dag_run = run_dag({})

    assert str(dag_run.state) == "failed"
    with warehouse.engine().connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM scoring.run").scalar() == 0
