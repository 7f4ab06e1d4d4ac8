"""The DAGs under the real scheduler: LocalExecutor, metadata in PostgreSQL, everything requested through the API."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from tests.lib.bars import write_bar_batches
from tests.lib.history import BATCHES, new_settings, promote, run_batch, scalar
from tests.lib.models import write_untrained_model
from tests.lib.warehouse import administer

DAGS = Path(__file__).parents[2] / "dags"
METADATA = "airflow_scheduler_test"

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(condition, seconds=300):
    """Return the first true value of a condition; fail if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except httpx.TransportError:
            # The API server does not respond yet; if it never does, the loop ends with a failure.
            found = None
        time.sleep(2)
    pytest.fail(f"{condition.__name__} was not true within {seconds} s")


@pytest.fixture
def airflow(postgres, warehouse, tmp_path):
    """A running `airflow standalone`; yields a client of its API."""
    from sqlalchemy.engine import make_url

    administer(postgres, f"CREATE DATABASE {METADATA}")
    port = free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": make_url(postgres.superuser_url)
        .set(database=METADATA)
        .render_as_string(),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW_CONN_WAREHOUSE": warehouse.job_url,
        "SCORING_VAR_DIR": str(tmp_path / "var"),
        "SCORING_CODE_REVISION": "test",
    }
    for command in (["db", "migrate"], ["pools", "set", "gpu", "1", "test"]):
        subprocess.run(["airflow", *command], env=environment, check=True, capture_output=True)
    log = (tmp_path / "standalone.log").open("wb")
    process = subprocess.Popen(
        ["airflow", "standalone"], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    passwords = tmp_path / "airflow" / "simple_auth_manager_passwords.json.generated"
    base = f"http://127.0.0.1:{port}"

    def log_in():
        if not passwords.exists():
            return None
        password = json.loads(passwords.read_text())["admin"]
        response = httpx.post(f"{base}/auth/token", json={"username": "admin", "password": password})
        return response.json()["access_token"] if response.is_success else None

    try:
        token = wait_for(log_in)
        with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        log.close()
        administer(postgres, f"DROP DATABASE {METADATA} WITH (FORCE)")


def unpause(airflow, *dag_ids):
    """Unpause DAGs after the scheduler has parsed them."""
    for dag_id in dag_ids:

        def dag_is_known(dag_id=dag_id):
            return airflow.get(f"/api/v2/dags/{dag_id}").is_success

        wait_for(dag_is_known)
        airflow.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()


def test_nightly_scoring_runs_on_schedule_and_in_a_backfill(airflow, warehouse, tmp_path):
    from scoring.phantom.batches import write_batches

    # The scheduler starts the newest complete interval by itself: yesterday's, or before 02:00 that of the day before.
    first = date.today() - timedelta(days=6)  # noqa: DTZ011 - so does the scheduler
    batches = write_batches(str(tmp_path / "var" / "landing"), seed=4, first_batch=first, batches=6, n_patients=6)
    unpause(airflow, "nightly_scoring")
    airflow.post(
        "/api/v2/backfills",
        json={
            "dag_id": "nightly_scoring",
            "from_date": f"{first}T02:00:00Z",
            "to_date": f"{first + timedelta(days=3)}T01:00:00Z",
            "reprocess_behavior": "none",
            "max_active_runs": 1,
            "run_backwards": False,
            "dag_run_conf": {},
        },
    ).raise_for_status()

    def four_runs_finished():
        runs = airflow.get("/api/v2/dags/nightly_scoring/dagRuns").json()["dag_runs"]
        finished = [(run["run_type"], run["state"]) for run in runs if run["state"] in {"success", "failed"}]
        return sorted(finished) if len(finished) >= 4 else None

    assert wait_for(four_runs_finished, seconds=900) == [("backfill", "success")] * 3 + [("scheduled", "success")]
    engine = warehouse.engine()
    with engine.connect() as connection:
        done = (
            connection.exec_driver_sql("SELECT DISTINCT batch_date FROM analyst.run_reconciliation WHERE reconciled")
            .scalars()
            .all()
        )
    assert len(done) == 4
    n_images = sum(batch.n_images for batch in batches if batch.batch_date in done)
    assert scalar(engine, "SELECT count(*) FROM scoring.joint_prediction") == n_images


@pytest.fixture
def untrained_site(warehouse, tmp_path):
    """One batch of joints that a small network can learn, scored by an untrained network."""
    from scoring.warehouse import connect

    site = new_settings(tmp_path / "var", warehouse)
    promote(site, write_untrained_model(site.model_store_url))
    write_bar_batches(site.landing_url, seed=3, first_batch=BATCHES[0], batches=2, n_patients=180, years=0.5)
    run_batch(site, BATCHES[0])
    yield site
    connect._engine.cache_clear()


RETRAININGS = "/api/v2/dags/retraining/dagRuns"


def start_retraining(airflow, epochs):
    started = airflow.post(RETRAININGS, json={"logical_date": None, "conf": {"epochs": epochs}})
    started.raise_for_status()
    return f"{RETRAININGS}/{started.json()['dag_run_id']}"


def final_state(airflow, run):
    def run_ended():
        state = airflow.get(run).json()["state"]
        return state if state in {"success", "failed"} else None

    return wait_for(run_ended, seconds=900)


def retrain_and_answer(airflow, option, reason):
    """Start a retraining, answer its question, and return the question."""
    run = start_retraining(airflow, epochs=12)
    question = f"{run}/taskInstances/ask/-1/hitlDetails"

    def question_is_asked():
        state = airflow.get(run).json()["state"]
        assert state in {"queued", "running"}, state
        found = airflow.get(question)
        return found.json() if found.is_success else None

    asked = wait_for(question_is_asked, seconds=900)
    # A person takes longer than this. If an answer arrives within a second, before the scheduler has registered
    # the end of the worker, the scheduler takes the task for killed and asks again.
    time.sleep(10)
    answered = airflow.patch(question, json={"chosen_options": [option], "params_input": {"reason": reason}})
    answered.raise_for_status()
    assert final_state(airflow, run) == "success"
    return asked


def test_retraining_asks_a_person_who_rejects_or_approves(untrained_site, airflow, warehouse):
    engine = warehouse.engine()

    def decisions():
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT decision, decided_by, decision_reason FROM analyst.challenge ORDER BY challenge_id"
            )
            return [tuple(row) for row in found]

    def champion():
        return scalar(engine, "SELECT model_version FROM analyst.champion")

    unpause(airflow, "retraining", "rescoring")
    asked = retrain_and_answer(airflow, "Reject", "the wrists look wrong")
    assert asked["subject"].startswith(f"Shall grid-residual-balanced-{BATCHES[0]}-")
    assert "| accuracy and kappa |" in asked["body"]
    assert decisions() == [("rejected", "admin", "the wrists look wrong")]
    assert champion() == "untrained-1"

    # The candidate is already in the store, so only the comparison is repeated, and another person approves it.
    asked = retrain_and_answer(airflow, "Approve", "better on every joint")
    assert decisions()[-1] == ("promoted", "admin", "better on every joint")

    # The run has started the DAG `rescoring`; when that one ends, the challenger is the champion.
    def new_champion():
        return champion() if champion() != "untrained-1" else None

    best = wait_for(new_champion)
    assert asked["subject"] == f"Shall {best} become the champion?"

    # New readings arrive, and a model of one epoch is worse: the run succeeds without a question.
    run_batch(untrained_site, BATCHES[1])
    run = start_retraining(airflow, epochs=1)
    assert final_state(airflow, run) == "success"
    assert airflow.get(f"{run}/taskInstances/ask").json()["state"] == "skipped"
    with engine.connect() as connection:
        worse = connection.exec_driver_sql(
            "SELECT challenger, decision, reasons, difference FROM analyst.challenge ORDER BY challenge_id DESC"
        ).first()
    assert worse.challenger.startswith(f"grid-residual-balanced-{BATCHES[1]}-")
    assert worse.decision == "rejected by the gate"
    assert "not shown to be better" in worse.reasons[0]
    assert worse.difference < 0
    assert champion() == best
