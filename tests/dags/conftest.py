"""An Airflow for the tests only: home, configuration and metadata in a temporary folder."""

import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lib.history import new_settings

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import BundleDagBag

    from scoring.settings import Settings

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory) -> Iterator[Path]:
    """Sets the environment of Airflow, which reads its home when it is imported."""
    assert "airflow" not in sys.modules, "airflow was imported before its home was set"
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.syspath_prepend(str(DAGS))
        yield home


def parse_dags() -> "BundleDagBag":
    from airflow.dag_processing.dagbag import BundleDagBag

    return BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")


@pytest.fixture(scope="session")
def dag_bag(airflow_home) -> "BundleDagBag":
    """The parsed DAG files, to be read only."""
    return parse_dags()


@pytest.fixture(scope="session")
def airflow_metadata(airflow_home) -> None:
    """Creates Airflow's own tables."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings(action="ignore"):
        initdb()


@pytest.fixture
def use_installation(monkeypatch) -> Iterator[Callable[..., "Settings"]]:
    """Sets the environment of a worker, with the warehouse as an Airflow connection, and returns its settings."""
    from scoring.settings import get_settings
    from scoring.warehouse import connect

    def use(var_dir, warehouse, **variables) -> "Settings":
        variables |= {"AIRFLOW_CONN_WAREHOUSE": warehouse.job_url}
        variables |= {"SCORING_VAR_DIR": str(var_dir), "SCORING_CODE_REVISION": "test", "SCORING_BATCH_SIZE": "10"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return new_settings(var_dir, warehouse)

    yield use
    get_settings.cache_clear()
    connect._engine.cache_clear()


@pytest.fixture
def run_dag(airflow_metadata, monkeypatch) -> Callable[..., Any]:
    """Runs a DAG in this process, and returns the Dag run."""
    # Airflow sleeps for a second whenever no task can run yet.
    monkeypatch.setattr(time, "sleep", partial(_sleep_until_retried, time.sleep))

    def run(dag_id, **conf):
        # Parsed again, because a Dag run leaves its parameters in the DAG.
        return parse_dags().dags[dag_id].test(run_conf=conf)

    return run


def _sleep_until_retried(sleep: Callable[[float], None], seconds: float) -> None:
    """Sleep briefly, and fail if a task waits for a retry: after an unexpected error, it would for half an hour.

    The time limit of the test would not end it, because Airflow uses the same signal for the time limits of tasks.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    sleep(min(seconds, 0.05))
    if threading.current_thread() is threading.main_thread():
        with create_session() as session:
            waiting = session.query(TaskInstance).filter_by(state=TaskInstanceState.UP_FOR_RETRY).all()
            tasks = [task.task_id for task in waiting]
            for task in waiting:
                # The next test is not concerned.
                task.state = TaskInstanceState.FAILED
        assert not tasks, f"{tasks} would be retried"


@pytest.fixture
def states() -> Callable[..., dict[str, str]]:
    """Returns the states of a Dag run's tasks, by task; of a mapped task the last one."""
    return lambda dag_run: {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
