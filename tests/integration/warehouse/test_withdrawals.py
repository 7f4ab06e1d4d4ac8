"""Readings are withdrawn by a newer batch that no longer contains them, and restored by a still newer one."""

import itertools
from datetime import date

import pandas as pd
import pytest
from sqlalchemy.engine import Engine

from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import quarantine
from scoring.warehouse.queries.checksum import checksums
from tests.lib.staged import NEXT_BATCH, RUN, consultation, publish_records, quarantined, reading
from tests.lib.warehouse import rows


def day(number: int) -> date:
    return date(2026, 11, number)


def deliver(engine: Engine, number: int, accepted: str, rejected: str = "", *, n: int = 1) -> None:
    """Publish the batch of a day, with consultation `n` and the readings of joints named by one letter each."""
    consulted = consultation(str(n), sop_iuid=f"f{n}", row=n, batch=day(number))
    received = [reading(consulted, joint) for joint in accepted + rejected]
    publish_records(engine, [consulted], received[: len(accepted)], received=received, with_rau=False)
    if rejected:
        names = ["row_key", "source_file", "row_number", "batch_date"]
        rest = quarantined("readings.in_range", dataset="readings").drop(columns=names)
        with transaction(engine) as connection:
            found = pd.DataFrame(received[len(accepted) :])[names].merge(rest, how="cross")
            quarantine.publish_quarantine(connection, RUN, found)


def withdrawn(engine: Engine, n: int = 1) -> dict[str, date | None]:
    query = "SELECT joint, withdrawn_on FROM registry.joint_reading WHERE id_x = :id_x ORDER BY joint"
    return dict(rows(engine, query, id_x=str(n)))


def test_publish_withdraws_a_reading_until_a_newer_batch_contains_it_again(engine):
    deliver(engine, 1, "ab")
    deliver(engine, 3, "a")
    assert withdrawn(engine) == {"a": None, "b": day(3)}
    before = checksums(engine)
    deliver(engine, 3, "a")
    deliver(engine, 1, "ab")
    assert checksums(engine) == before
    deliver(engine, 4, "ab")
    assert withdrawn(engine) == {"a": None, "b": None}


def test_publish_withdraws_a_reading_that_a_corrected_file_of_the_same_batch_lacks(engine):
    deliver(engine, 1, "ab")
    deliver(engine, 1, "a")
    assert withdrawn(engine) == {"a": None, "b": day(1)}
    deliver(engine, 1, "ab")
    assert withdrawn(engine) == {"a": None, "b": None}


def test_publish_keeps_the_old_value_if_the_new_one_is_quarantined(engine):
    deliver(engine, 1, "ab")
    deliver(engine, 2, "a", rejected="b")
    assert withdrawn(engine) == {"a": None, "b": None}


def test_publish_withdraws_all_readings_of_a_consultation_without_readings(engine):
    deliver(engine, 1, "ab")
    deliver(engine, 2, "")
    assert withdrawn(engine) == {"a": day(2), "b": day(2)}


@pytest.mark.parametrize(
    "batches",
    [
        {1: ("ab", ""), 2: ("a", ""), 3: ("ab", "")},
        {1: ("ab", ""), 2: ("ab", ""), 3: ("a", "")},
        {1: ("ab", ""), 2: ("a", "b"), 3: ("a", "b")},
        {1: ("a", ""), 2: ("ab", ""), 4: ("b", "")},
        pytest.param({1: ("ab", ""), 2: ("a", ""), 3: ("ab", ""), 4: ("a", "")}, marks=pytest.mark.slow),
    ],
)
def test_publish_withdraws_the_same_readings_in_any_order_of_batches(engine, batches):
    found = []
    for n, order in enumerate(itertools.permutations(batches)):
        for number in order:
            deliver(engine, number, *batches[number], n=n)
        found.append(withdrawn(engine, n))
    assert found == found[:1] * len(found)


def test_views_exclude_withdrawn_readings(published):
    shown = "SELECT count(*) FROM analyst.reading_versus_prediction WHERE id_x = '3'"
    read = "SELECT reading_percent FROM analyst.joint_timeline WHERE sop_iuid = '1.2.4'"
    assert (rows(published, shown), rows(published, read)) == ([(1,)], [(0.0,)])
    publish_records(published, [consultation("3", "00124", "1.2.4", batch=NEXT_BATCH)])
    assert (rows(published, shown), rows(published, read)) == ([(0,)], [(None,)])
