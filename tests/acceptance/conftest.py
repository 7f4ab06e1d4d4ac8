"""An installation per test: its own landing, staging, reports and warehouse."""

from collections.abc import Iterator

import pytest

from scoring.settings import Settings
from tests.lib.synthetic_warehouse import fill


@pytest.fixture
def site(tmp_path, warehouse) -> Iterator[Settings]:
    """Settings of an empty installation with a fresh warehouse, as the job's role."""
    from scoring.warehouse import connect

    yield Settings(var_dir=tmp_path / "var", warehouse_url=warehouse.job_url, code_revision="test", _env_file=None)
    # The connections must be closed before the database is dropped.
    connect._engine.cache_clear()


@pytest.fixture(scope="session")
def synthetic_warehouse(new_warehouse, tmp_path_factory):
    """The warehouse of `tests.lib.synthetic_warehouse`. To be read only."""
    from scoring.warehouse import connect

    with new_warehouse() as made:
        site = Settings(
            var_dir=tmp_path_factory.mktemp("site"), warehouse_url=made.job_url, code_revision="v0", _env_file=None
        )
        fill(site)
        connect._engine.cache_clear()
        yield made
