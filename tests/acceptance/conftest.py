"""An installation per test: its own landing, staging, reports and warehouse."""

from collections.abc import Iterator

import pytest

from scoring.settings import Settings
from tests.lib.history import History, Past, as_past, copy_past, make_past, new_settings, promote, rescore
from tests.lib.synthetic_warehouse import fill


@pytest.fixture
def site(tmp_path, warehouse) -> Iterator[Settings]:
    """Settings of an empty installation with a fresh warehouse."""
    from scoring.warehouse import connect

    yield new_settings(tmp_path / "var", warehouse)
    # The connections must be closed before the database is dropped.
    connect._engine.cache_clear()


@pytest.fixture(scope="session")
def past(new_warehouse, tmp_path_factory) -> Iterator[Past]:
    """Two batches that were scored with the shipped model, and a third that has not run."""
    with make_past(new_warehouse, tmp_path_factory.mktemp("past"), n_scored=2) as made:
        yield made


@pytest.fixture
def history(new_warehouse, past, tmp_path) -> Iterator[History]:
    """A copy of `past`."""
    with copy_past(past, new_warehouse, tmp_path / "var") as copied:
        yield copied


@pytest.fixture(scope="session")
def rescored_past(new_warehouse, past, tmp_path_factory) -> Iterator[Past]:
    """`past` after the other model was promoted and the history was rescored with it."""
    with copy_past(past, new_warehouse, tmp_path_factory.mktemp("rescored")) as made:
        promote(made.site)
        rescore(made.site)
        yield as_past(made)


@pytest.fixture
def rescored(new_warehouse, rescored_past, tmp_path) -> Iterator[History]:
    """A copy of `rescored_past`."""
    with copy_past(rescored_past, new_warehouse, tmp_path / "var") as copied:
        yield copied


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
