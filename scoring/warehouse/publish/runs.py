"""Runs and their books. A run is one attempt at one night; its rows are only ever added."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import WarehouseUnavailable
from scoring.warehouse.engine import transaction

PUBLISH_WAIT_S = 300


@dataclass(frozen=True)
class Count:
    """One line of a run's books."""

    dataset: str
    """consultations, readings, disease_activity or images."""
    outcome: str
    """landed, new, updated, unchanged, superseded, scored, already_scored or quarantined."""
    n: int
    rule: str = ""
    """The first critical rule that was broken, for what was quarantined."""


def open_run(
    engine: Engine,
    run_id: UUID | str,
    batch_date: date,
    *,
    trigger: str,
    triggered_by: str,
    code_revision: str,
    model_version: str | None,
    job: str = "nightly_scoring",
) -> bool:
    """Write down that a run begins. Every row that it writes refers to this one.

    A task that is tried again opens the same run again, which changes nothing.

    Returns:
        False if the run was open already.

    Raises:
        WarehouseUnavailable: The server cannot be reached.
    """
    with transaction(engine) as connection:
        inserted = connection.execute(
            sa.text(
                "INSERT INTO scoring.run"
                " (run_id, batch_date, job, trigger, triggered_by, code_revision, model_version)"
                " VALUES (:run_id, :batch_date, :job, :trigger, :triggered_by, :code_revision, :model_version)"
                " ON CONFLICT (run_id) DO NOTHING"
            ),
            {
                "run_id": str(run_id),
                "batch_date": batch_date,
                "job": job,
                "trigger": trigger,
                "triggered_by": triggered_by,
                "code_revision": code_revision,
                "model_version": model_version,
            },
        )
        return inserted.rowcount == 1


def record_counts(
    connection: Connection, run_id: UUID | str, dataset: str, lines: Iterable[tuple[str, int, str]]
) -> None:
    """Write a run's book of one dataset, in the transaction that wrote what it counts.

    A step that is cleared by hand and run again writes the book again; the latest one counts.

    Args:
        connection: The publishing transaction.
        run_id: The run.
        dataset: consultations, readings, disease_activity or images.
        lines: outcome, n, and the rule of what was quarantined (else empty).
    """
    connection.execute(
        sa.text(
            "INSERT INTO scoring.run_count (run_id, dataset, outcome, rule, n)"
            " VALUES (:run_id, :dataset, :outcome, :rule, :n)"
        ),
        [
            {"run_id": str(run_id), "dataset": dataset, "outcome": outcome, "rule": rule, "n": n}
            for outcome, n, rule in lines
        ],
    )


def counts_of(engine: Engine, run_id: UUID | str) -> list[Count]:
    """The books of a run, in a fixed order: of each dataset the lines that were written last."""
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.text(
                "SELECT dataset, outcome, n, rule FROM scoring.run_count AS c WHERE run_id = :run_id"
                " AND recorded_at = (SELECT max(recorded_at) FROM scoring.run_count AS last"
                " WHERE last.run_id = c.run_id AND last.dataset = c.dataset)"
                " ORDER BY dataset, outcome, rule"
            ),
            {"run_id": str(run_id)},
        )
        return [Count(row.dataset, row.outcome, row.n, row.rule) for row in rows]


def close_run(engine: Engine, run_id: UUID | str, status: str, message: str = "") -> None:
    """Write down how a run ended: `succeeded` or `failed`, and for the latter why.

    A run that is cleared and ends again gets another result; the latest counts.

    Raises:
        WarehouseUnavailable: The server cannot be reached.
    """
    with transaction(engine) as connection:
        connection.execute(
            sa.text("INSERT INTO scoring.run_result (run_id, status, message) VALUES (:run_id, :status, :message)"),
            {"run_id": str(run_id), "status": status, "message": message},
        )


def publish_lock(connection: Connection, wait_s: int = PUBLISH_WAIT_S) -> None:
    """Wait until no other run publishes; then this transaction is the only one that does, until it ends.

    Args:
        connection: Inside the publishing transaction; the wait also bounds every later lock of it.
        wait_s: Longest wait, in seconds.

    Raises:
        WarehouseUnavailable: Another run still publishes after that time.
    """
    connection.execute(sa.text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{wait_s}s"})
    try:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('scoring:publish', 0))"))
    except sa.exc.OperationalError as kept_waiting:
        if getattr(kept_waiting.orig, "pgcode", None) != "55P03":  # lock_not_available
            raise
        raise WarehouseUnavailable(
            f"Another run has been publishing to the warehouse for more than {wait_s} s. Nothing was written; "
            "this run can be tried again when the other one has ended."
        ) from kept_waiting
