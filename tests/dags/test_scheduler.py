"""The same DAG under the real scheduler: LocalExecutor, metadata in PostgreSQL, a backfill asked for by the API."""

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

ROOT = Path(__file__).parents[2]

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
    from scoring.phantom.nights import write_nights

    # The scheduler starts the newest complete interval by itself: yesterday's, or the day before in the small hours.
    first = date.today() - timedelta(days=6)  # noqa: DTZ011 - so does the scheduler
    nights = write_nights(str(tmp_path / "var" / "landing"), seed=4, first_night=first, nights=6, n_patients=6)

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
            connection.exec_driver_sql("SELECT DISTINCT batch_date FROM analyst.night WHERE balanced").scalars().all()
        )
    assert len(done) == 4
    assert scored == sum(night.n_images for night in nights if night.folder_date in done)
