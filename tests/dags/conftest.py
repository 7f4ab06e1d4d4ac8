"""An Airflow of its own for the tests: home, configuration and metadata in a temporary folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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
