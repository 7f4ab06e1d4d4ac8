"""An Airflow of its own for the tests: home, configuration and metadata in a temporary folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory) -> Iterator[Path]:
    """Environment of an Airflow that nobody has imported yet; it reads its home at import."""
    assert "airflow" not in sys.modules, "airflow was imported before its home was set"
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield home


@pytest.fixture(scope="session")
def airflow_metadata(airflow_home) -> Path:
    """The same with Airflow's own tables."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=os.environ, capture_output=True, check=True)
    return airflow_home


@pytest.fixture
def run_dag(airflow_metadata, warehouse, tmp_path, monkeypatch):
    """Run a DAG, by default the nightly one, on a fresh installation and return its Dag run."""
    monkeypatch.setenv("SCORING_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("SCORING_LANDING_URL", str(tmp_path / "landing"))
    monkeypatch.setenv("SCORING_CODE_REVISION", "test")
    # As an operator would give it: a connection of Airflow, in the environment.
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.job_url)
    monkeypatch.syspath_prepend(str(DAGS))
    from scoring.settings import get_settings

    get_settings.cache_clear()

    def run(conf, dag_id="nightly_scoring"):
        from airflow.dag_processing.dagbag import BundleDagBag

        bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")
        return bag.dags[dag_id].test(run_conf=conf)

    yield run
    get_settings.cache_clear()
    sys.modules.pop("scoring_airflow", None)


@pytest.fixture
def states():
    """States of a Dag run's tasks, by task; of a mapped one the last."""
    return lambda dag_run: {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
