"""Two runs at once, and a server that goes away in the middle."""

import threading
from datetime import date
from uuid import UUID

import pandas as pd
import pytest
import sqlalchemy as sa

from scoring.errors import WarehouseUnavailable
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import registry, runs

NIGHT = date(2026, 11, 21)


def consultations(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source_file": "2026-11-21/consultations.csv",
            "row_number": range(2, n + 2),
            "batch_date": NIGHT,
            "id_x": [str(i) for i in range(n)],
            "patient_id": [f"{i % 50:05d}" for i in range(n)],
            "date_x": date(2020, 1, 1),
            "date_y": date(2020, 2, 1),
            "sop_iuid": [f"1.2.{i}" for i in range(n)],
            "body_part": "HAND_LEFT",
            "rau_score": 10.0,
        }
    )


READINGS = pd.DataFrame(
    columns=["source_file", "row_number", "batch_date", "id_x", "patient_id", "sop_iuid", "joint", "reading_percent"]
)
ACTIVITY = pd.DataFrame(
    columns=[
        "source_file",
        "row_number",
        "batch_date",
        "patient_id",
        "date",
        "physician_global_disease_activity",
        "global_patient_estimate_disease_activity",
        "das28bsr_score",
        "das283crp_score",
        "swollen_28",
        "tender_28",
        "esr",
        "crp",
    ]
)


@pytest.fixture
def engine(warehouse):
    engine = warehouse.engine()
    for number in (1, 2):
        runs.open_run(
            engine,
            UUID(int=number),
            NIGHT,
            trigger="cli",
            triggered_by="tester",
            code_revision="abc",
            model_version=None,
        )
    return engine


def publish(connection, run_id: UUID, n: int = 200) -> UpsertCounts:
    runs.publish_lock(connection)
    counts = registry.publish_registry(connection, run_id, consultations(n), READINGS, ACTIVITY, READINGS)[
        "consultations"
    ]
    runs.record_counts(
        connection, run_id, "consultations", [("new", counts.new, ""), ("unchanged", counts.unchanged, "")]
    )
    return counts


def count(engine, table: str) -> int:
    with transaction(engine) as connection:
        return connection.scalar(sa.text(f"SELECT count(*) FROM {table}"))  # noqa: S608 - names of this module


def test_two_runs_of_a_night_at_once_count_each_row_once(warehouse, engine):
    found: dict[UUID, UpsertCounts] = {}
    start = threading.Barrier(2)

    def run(run_id: UUID) -> None:
        own = warehouse.engine()
        start.wait()
        with transaction(own) as connection:
            found[run_id] = publish(connection, run_id)

    threads = [threading.Thread(target=run, args=(UUID(int=number),)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.values(), key=lambda counts: counts.new) == [
        UpsertCounts(unchanged=200),
        UpsertCounts(new=200),
    ]
    assert count(engine, "registry.consultation") == 200


def test_a_run_that_waits_too_long_says_who_it_waits_for(warehouse, engine):
    with transaction(engine) as holding:
        runs.publish_lock(holding)
        with (
            pytest.raises(WarehouseUnavailable, match="Another run has been publishing"),
            transaction(warehouse.engine()) as waiting,
        ):
            runs.publish_lock(waiting, wait_s=1)


def test_a_server_that_goes_away_in_the_middle_leaves_nothing_half_written(warehouse, engine):
    administrator = warehouse.engine(warehouse.superuser_url)
    with pytest.raises(WarehouseUnavailable, match=r"is unavailable.*Nothing was written"), transaction(engine) as c:  # noqa: PT012 - the connection dies between two statements
        publish(c, UUID(int=1))
        pid = c.scalar(sa.text("SELECT pg_backend_pid()"))
        with transaction(administrator) as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        runs.record_counts(c, UUID(int=1), "images", [("landed", 1, "")])
    assert [
        count(engine, table) for table in ("registry.consultation", "registry.radiograph", "scoring.run_count")
    ] == [
        0,
        0,
        0,
    ]
    # The next try, over the same pool, works.
    with transaction(engine) as connection:
        assert publish(connection, UUID(int=1)) == UpsertCounts(new=200)


def test_a_server_that_goes_away_during_copy_is_unavailable(warehouse, engine, monkeypatch):
    from scoring.warehouse import bulk

    administrator = warehouse.engine(warehouse.superuser_url)
    rows = bulk.copy_rows

    def copy_and_lose_the_server(frame, columns):
        yield from rows(frame, columns)
        with transaction(administrator) as other:
            other.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE usename = 'scoring_job' AND datname = current_database() AND state = 'active'"
                )
            )

    monkeypatch.setattr(bulk, "copy_rows", copy_and_lose_the_server)
    with pytest.raises(WarehouseUnavailable), transaction(engine) as connection:
        publish(connection, UUID(int=1))
    assert count(engine, "registry.radiograph") == 0


def test_a_fault_in_sql_is_not_taken_for_a_lost_server(engine):
    with pytest.raises(sa.exc.ProgrammingError), transaction(engine) as connection:
        connection.execute(sa.text("SELECT no_such_column"))
