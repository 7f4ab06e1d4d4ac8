"""Fixtures of all kinds of tests; the builders behind them are in tests/lib."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.lib.warehouse import Warehouse, running_server
from tests.lib.warehouse import new_warehouse as copy_warehouse

if TYPE_CHECKING:
    from scoring.warehouse.embedded import EmbeddedServer

# No deadline, because examples may use a database; derandomized, so that a failure always means a change.
# `make test-all` tries more examples.
for name, max_examples in (("fast", 25), ("thorough", 100)):
    settings.register_profile(
        name,
        deadline=None,
        derandomize=True,
        max_examples=max_examples,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
settings.load_profile("fast")


@pytest.fixture(scope="session")
def postgres() -> Iterator["EmbeddedServer"]:
    """The PostgreSQL server of this test process, with a migrated template database."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def new_warehouse(postgres: "EmbeddedServer") -> Callable[..., AbstractContextManager[Warehouse]]:
    """Makes a warehouse from a template, by default the migrated and empty one."""
    return partial(copy_warehouse, postgres)


@pytest.fixture
def warehouse(new_warehouse: Callable[..., AbstractContextManager[Warehouse]]) -> Iterator[Warehouse]:
    """A migrated warehouse without any row."""
    with new_warehouse() as made:
        yield made


class GroupedScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps tests that share fixtures or a package that takes long to import in one test process.

    The marks of `--dist loadgroup` have no effect with pytest 9.2 (pytest-xdist issue 1386).
    """

    FOLDERS = ("tests/acceptance", "tests/dags", "tests/integration/networks", "tests/integration/training")
    """Folders whose tests stay together. Of other folders, the tests of each file do."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in self.FOLDERS if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupedScheduling:
    return GroupedScheduling(config, log)
