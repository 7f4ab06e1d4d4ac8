"""Warehouses that tests change, each a copy of a template that is filled once per test process."""

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import Engine

from tests.lib import staged
from tests.lib.warehouse import Warehouse


@pytest.fixture(scope="session")
def champion_template(new_warehouse) -> Iterator[Warehouse]:
    with new_warehouse() as made:
        engine = made.engine()
        staged.register_champion(engine)
        for run_id in (staged.RUN, staged.SECOND_RUN):
            staged.open_run(engine, run_id)
        yield made


@pytest.fixture(scope="session")
def batch_template(new_warehouse, champion_template) -> Iterator[Warehouse]:
    with new_warehouse(template=champion_template.name) as made:
        staged.publish_batch(made.engine())
        yield made


@pytest.fixture
def champion_warehouse(new_warehouse, champion_template) -> Iterator[Warehouse]:
    """A warehouse with a champion and two open runs, without records."""
    with new_warehouse(template=champion_template.name) as made:
        yield made


@pytest.fixture
def batch_warehouse(new_warehouse, batch_template) -> Iterator[Warehouse]:
    """A warehouse in which the first of two open runs has published a batch (`staged.publish_batch`)."""
    with new_warehouse(template=batch_template.name) as made:
        yield made


@pytest.fixture
def engine(champion_warehouse) -> Engine:
    """The job's connection to `champion_warehouse`."""
    return champion_warehouse.engine()


@pytest.fixture
def published(batch_warehouse) -> Engine:
    """The job's connection to `batch_warehouse`."""
    return batch_warehouse.engine()
