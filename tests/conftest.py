"""Fixtures of all kinds of tests; the builders behind them are in tests/lib."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.lib.warehouse import Warehouse, running_server
from tests.lib.warehouse import new_warehouse as copy_warehouse

if TYPE_CHECKING:
    from scoring.warehouse.embedded import EmbeddedServer

# No deadline, because examples may use a database; derandomized, so that a failure always means a change.
settings.register_profile(
    "scoring", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("scoring")


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
