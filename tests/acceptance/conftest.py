"""One installation for a user's story: its own landing, staging, reports and warehouse."""

from collections.abc import Iterator

import pytest

from scoring.settings import Settings


@pytest.fixture
def site(tmp_path, warehouse) -> Iterator[Settings]:
    """Settings of an empty installation on a fresh warehouse, as the job's role."""
    from scoring.pipeline import installation

    yield Settings(var_dir=tmp_path / "var", warehouse_url=warehouse.job_url, code_revision="test", _env_file=None)
    # The database goes away with the test; its connections go first.
    installation._engine.cache_clear()
