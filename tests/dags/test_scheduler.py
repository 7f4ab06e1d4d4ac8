"""The DAGs under the real scheduler: LocalExecutor, metadata in PostgreSQL, everything asked for by the API."""

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

ROOT = Path(__file__).parents[2]
NIGHT = date(2026, 11, 21)

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(what, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            # The API server is not up yet; the loop ends with a failure if it never is.
            found = None
        time.sleep(2)
    pytest.fail(f"waited {seconds} s in vain for {what.__name__}")


@pytest.fixture
def airflow(postgres, warehouse, tmp_path):
    """A running `airflow standalone`; yields an API client."""
    from sqlalchemy.engine import make_url

    from scoring.warehouse.engine import connect_engine

    admin = connect_engine(make_url(postgres.superuser_url).set(database="postgres").render_as_string())
    with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE airflow_scheduler_test")
    metadata = make_url(postgres.superuser_url).set(database="airflow_scheduler_test").render_as_string()
    port = free_port()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
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

    def a_token():
        if not passwords.exists():
            return None
        password = json.loads(passwords.read_text())["admin"]
        answer = httpx.post(f"{base}/auth/token", json={"username": "admin", "password": password})
        return answer.json()["access_token"] if answer.is_success else None

    try:
        token = wait_for(a_token)
        with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        log.close()
        with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("DROP DATABASE airflow_scheduler_test WITH (FORCE)")
        admin.dispose()


def test_a_scheduled_night_and_a_backfill_of_three_asked_for_by_the_api(airflow, warehouse, tmp_path):
    from scoring.phantom.batches import write_batches

    # The scheduler starts the newest complete interval by itself: yesterday's, or the day before in the small hours.
    first = date.today() - timedelta(days=6)  # noqa: DTZ011 - so does the scheduler
    nights = write_batches(str(tmp_path / "var" / "landing"), seed=4, first_batch=first, batches=6, n_patients=6)

    def the_dag():
        return airflow.get("/api/v2/dags/nightly_scoring").is_success

    wait_for(the_dag)
    airflow.patch("/api/v2/dags/nightly_scoring", json={"is_paused": False}).raise_for_status()
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

    def four_finished_runs():
        runs = airflow.get("/api/v2/dags/nightly_scoring/dagRuns").json()["dag_runs"]
        finished = [(run["run_type"], run["state"]) for run in runs if run["state"] in {"success", "failed"}]
        return sorted(finished) if len(finished) >= 4 else None

    assert wait_for(four_finished_runs, seconds=900) == [("backfill", "success")] * 3 + [("scheduled", "success")]
    with warehouse.engine().connect() as connection:
        scored = connection.exec_driver_sql("SELECT count(*) FROM scoring.joint_prediction").scalar()
        done = (
            connection.exec_driver_sql("SELECT DISTINCT batch_date FROM analyst.run_reconciliation WHERE balanced")
            .scalars()
            .all()
        )
    assert len(done) == 4
    assert scored == sum(night.n_images for night in nights if night.batch_date in done)


@pytest.fixture
def ignorant_site(warehouse, tmp_path):
    """One night of joints that anybody can read, scored by a network as it is before it has learnt anything."""
    import keras

    from scoring.imaging.preprocess import PREPROCESSING_VERSION
    from scoring.model_store import store
    from scoring.networks.architecture import build
    from scoring.pipeline import models, nightly
    from scoring.settings import Settings
    from scoring.training import export_model
    from scoring.warehouse import connect

    site = Settings(var_dir=tmp_path / "var", warehouse_url=warehouse.job_url, code_revision="test", _env_file=None)
    arguments = {"side": 128, "filters": [4, 8, 8, 8], "dense": [16], "dropout": 0.0}
    keras.utils.set_random_seed(1)
    facts = {"version": "ignorant-1", "trained_on_synthetic": True, "architecture": "erosion_cdf_network",
             "arguments": arguments, "input_side": 128, "preprocessing_version": PREPROCESSING_VERSION}  # fmt: skip
    store.write_model(
        site.model_store_url, facts, export_model.model_files(build("erosion_cdf_network", dict(arguments)))
    )
    models.promote(site, version="ignorant-1", promoted_by="tester", reason="the first")
    write_bar_batches(site.landing_url, seed=3, first_batch=NIGHT, batches=2, n_patients=180, years=0.5)
    nightly.run_batch(site, NIGHT, triggered_by="tester")
    yield site
    connect._engine.cache_clear()


def test_a_challenger_is_refused_by_one_person_promoted_by_the_next_and_a_worse_one_by_the_gate(
    ignorant_site, airflow, warehouse
):
    from scoring.pipeline import nightly

    runs = "/api/v2/dags/retraining/dagRuns"

    def the_dag():
        return airflow.get("/api/v2/dags/retraining").is_success

    def retrain(epochs):
        started = airflow.post(runs, json={"logical_date": None, "conf": {"epochs": epochs}})
        started.raise_for_status()
        return f"{runs}/{started.json()['dag_run_id']}"

    def end_of(run):
        def the_end():
            state = airflow.get(run).json()["state"]
            return state if state in {"success", "failed"} else None

        return wait_for(the_end, seconds=900)

    def retrain_and_answer(option, reason):
        run = retrain(epochs=12)
        question = f"{run}/taskInstances/ask/-1/hitlDetails"

        def the_question():
            state = airflow.get(run).json()["state"]
            assert state in {"queued", "running"}, state
            found = airflow.get(question)
            return found.json() if found.is_success else None

        asking = wait_for(the_question, seconds=900)
        # A person takes longer than this. An answer before the scheduler has seen the worker off, a second later, is to
        # it a task that was killed: it asks again.
        time.sleep(10)
        answered = airflow.patch(question, json={"chosen_options": [option], "params_input": {"reason": reason}})
        answered.raise_for_status()
        assert end_of(run) == "success"
        return asking

    def decisions():
        with warehouse.engine().connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT decision, decided_by, decision_reason FROM analyst.challenge ORDER BY challenge_id"
            )
            return [tuple(row) for row in found], connection.exec_driver_sql(
                "SELECT model_version FROM analyst.champion"
            ).scalar()

    wait_for(the_dag)
    for dag_id in ("retraining", "rescoring"):
        airflow.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
    asking = retrain_and_answer("Refuse", "the wrists look wrong")
    assert asking["subject"].startswith("Shall grid-residual-balanced-2026-11-21-")
    assert "| accuracy and kappa |" in asking["body"]
    assert decisions() == ([("refused", "admin", "the wrists look wrong")], "ignorant-1")

    # The candidate is in the store already: only the comparison is made again, and somebody else thinks otherwise.
    asking = retrain_and_answer("Approve", "better on every joint")
    assert decisions()[0][-1] == ("promoted", "admin", "better on every joint")

    # The run has started the DAG `rescoring`; when that is through, the challenger is the champion.
    def the_new_champion():
        champion = decisions()[1]
        return None if champion == "ignorant-1" else champion

    best = wait_for(the_new_champion)
    assert asking["subject"] == f"Shall {best} become the champion?"

    # New readings land, and what one epoch makes of them is worse: green, no question, the champion stays.
    nightly.run_batch(ignorant_site, NIGHT + timedelta(days=1), triggered_by="tester")
    run = retrain(epochs=1)
    assert end_of(run) == "success"
    assert airflow.get(f"{run}/taskInstances/ask").json()["state"] == "skipped"
    with warehouse.engine().connect() as connection:
        worse = connection.exec_driver_sql(
            "SELECT challenger, decision, reasons, difference FROM analyst.challenge ORDER BY challenge_id DESC"
        ).first()
    assert worse.challenger.startswith("grid-residual-balanced-2026-11-22-")
    assert worse.decision == "refused by the gate"
    assert worse.reasons[0].startswith("it is not shown to be better")
    assert worse.difference < 0
    assert decisions()[1] == best
