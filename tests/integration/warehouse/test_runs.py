"""Runs: opened once, counted by outcome, closed; concurrent runs, and a server that stops in the middle."""

import threading

import pandas as pd
import pytest
import sqlalchemy as sa

from scoring.errors import WarehouseUnavailable
from scoring.warehouse import bulk
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import registry, runs
from scoring.warehouse.queries import nightly_report
from scoring.warehouse.queries.runs import row_counts
from tests.lib.staged import RUN, SECOND_RUN, activity, consultation, open_run, reading
from tests.lib.warehouse import rows


def reconciliation(engine) -> pd.DataFrame:
    with transaction(engine) as connection:
        return nightly_report.row_counts(connection, RUN)


def test_open_run_opens_a_run_once_and_the_last_result_applies(engine):
    assert open_run(engine, RUN) is False
    runs.close_run(engine, RUN, "failed", "no _SUCCESS")
    runs.close_run(engine, RUN, "succeeded")
    assert rows(engine, "SELECT status, message FROM scoring.run_result ORDER BY finished_at") == [
        ("failed", "no _SUCCESS"),
        ("succeeded", ""),
    ]
    assert reconciliation(engine)[["status", "message"]].to_numpy().tolist() == [["succeeded", ""]]


def test_record_counts_of_a_repeated_step_replace_the_earlier_ones(engine):
    received = ("received", 2, "")
    with transaction(engine) as connection:
        runs.record_counts(connection, RUN, "images", [received, ("scored", 1, ""), ("already_scored", 0, "")])
        runs.record_counts(connection, RUN, "readings", [("received", 1, ""), ("new", 1, "")])
    with transaction(engine) as connection:
        lines = [("received", 3, ""), ("scored", 2, ""), ("quarantined", 1, "images.decodes")]
        runs.record_counts(connection, RUN, "images", lines)
    found = reconciliation(engine)
    assert found[["dataset", "received", "scored", "quarantined", "reconciled"]].to_dict("records") == [
        {"dataset": "images", "received": 3, "scored": 2, "quarantined": 1, "reconciled": True},
        {"dataset": "readings", "received": 1, "scored": 0, "quarantined": 0, "reconciled": True},
    ]
    assert row_counts(engine, RUN) == {"images": (3, 0), "readings": (1, 0)}


@pytest.mark.parametrize(("scored", "unaccounted_for"), [(2, 1), (4, -1)])
def test_run_reconciliation_shows_row_counts_that_do_not_reconcile(engine, scored, unaccounted_for):
    with transaction(engine) as connection:
        runs.record_counts(connection, RUN, "images", [("received", 3, ""), ("scored", scored, "")])
    assert reconciliation(engine)["reconciled"].tolist() == [False]
    assert row_counts(engine, RUN) == {"images": (3, unaccounted_for)}


# ---- concurrent runs, and a server that stops


def publish(connection, run_id, n: int = 200) -> UpsertCounts:
    """Publish consultations and count them, as one step does."""
    consulted = [consultation(str(i), f"{i % 50:05d}", f"1.2.{i}", row=i + 2) for i in range(n)]
    no_readings = pd.DataFrame([reading(consulted[0])])[:0]
    no_activity = pd.DataFrame([activity()])[:0]
    runs.publish_lock(connection)
    written = registry.publish_registry(
        connection, run_id, pd.DataFrame(consulted), no_readings, no_activity, no_readings
    )
    counts = written["consultations"]
    lines = [("new", counts.new, ""), ("unchanged", counts.unchanged, "")]
    runs.record_counts(connection, run_id, "consultations", lines)
    return counts


def test_publish_by_two_runs_at_once_counts_each_row_once(champion_warehouse, engine):
    found = {}
    start = threading.Barrier(2)

    def run(run_id) -> None:
        own = champion_warehouse.engine()
        start.wait()
        with transaction(own) as connection:
            found[run_id] = publish(connection, run_id)

    threads = [threading.Thread(target=run, args=(run_id,)) for run_id in (RUN, SECOND_RUN)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.values(), key=lambda counts: counts.new) == [
        UpsertCounts(unchanged=200),
        UpsertCounts(new=200),
    ]
    assert rows(engine, "SELECT count(*) FROM registry.consultation") == [(200,)]


def test_publish_lock_names_the_reason_after_the_wait(champion_warehouse, engine):
    with transaction(engine) as holding:
        runs.publish_lock(holding)
        with (
            pytest.raises(WarehouseUnavailable, match="Another run has been publishing"),
            transaction(champion_warehouse.engine()) as waiting,
        ):
            runs.publish_lock(waiting, wait_s=1)


def test_transaction_leaves_nothing_behind_if_the_server_stops(champion_warehouse, engine):
    administrator = champion_warehouse.engine(champion_warehouse.superuser_url)
    with pytest.raises(WarehouseUnavailable, match=r"is unavailable.*Nothing was written"), transaction(engine) as c:  # noqa: PT012 - the connection is lost between two statements
        publish(c, RUN)
        pid = c.scalar(sa.text("SELECT pg_backend_pid()"))
        rows(administrator, "SELECT pg_terminate_backend(:pid, 5000)", pid=pid)
        runs.record_counts(c, RUN, "images", [("received", 1, "")])
    for table in ("registry.consultation", "registry.radiograph", "scoring.run_count"):
        assert rows(engine, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - constants
    # The next attempt with the same pool works.
    with transaction(engine) as connection:
        assert publish(connection, RUN) == UpsertCounts(new=200)


def test_transaction_reports_a_server_that_stops_before_a_copy_as_unavailable(champion_warehouse, engine, monkeypatch):
    administrator = champion_warehouse.engine(champion_warehouse.superuser_url)
    copy_rows = bulk.copy_rows

    def stop_the_server_and_copy(frame):
        rows(
            administrator,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE usename = 'scoring_job' AND datname = current_database()",
        )
        yield from copy_rows(frame)

    monkeypatch.setattr(bulk, "copy_rows", stop_the_server_and_copy)
    with pytest.raises(WarehouseUnavailable), transaction(engine) as connection:
        publish(connection, RUN)
    assert rows(engine, "SELECT count(*) FROM registry.radiograph") == [(0,)]


def test_transaction_lets_errors_in_sql_through(engine):
    with pytest.raises(sa.exc.ProgrammingError):
        rows(engine, "SELECT no_such_column")
