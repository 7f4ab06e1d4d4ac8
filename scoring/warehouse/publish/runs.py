"""Writes runs, their row counts and their results. A run is one attempt to process a batch; rows are only added."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import WarehouseUnavailable
from scoring.warehouse.engine import transaction

PUBLISH_WAIT_S = 300


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
    """Record the start of a run, to which every row that it writes refers. Repeating it changes nothing.

    Returns:
        False if the run was open before.

    Raises:
        WarehouseUnavailable: The server cannot be reached.
    """
    row = {
        "run_id": str(run_id),
        "batch_date": batch_date,
        "job": job,
        "trigger": trigger,
        "triggered_by": triggered_by,
        "code_revision": code_revision,
        "model_version": model_version,
    }
    with transaction(engine) as connection:
        inserted = connection.execute(
            sa.text(
                "INSERT INTO scoring.run (run_id, batch_date, job, trigger, triggered_by, code_revision, model_version)"
                " VALUES (:run_id, :batch_date, :job, :trigger, :triggered_by, :code_revision, :model_version)"
                " ON CONFLICT (run_id) DO NOTHING"
            ),
            row,
        )
        return inserted.rowcount == 1


def record_counts(
    connection: Connection, run_id: UUID | str, dataset: str, lines: Iterable[tuple[str, int, str]]
) -> None:
    """Record the row counts of one dataset in the transaction that writes the rows.

    A step that is cleared and repeated records them again; the latest counts apply.

    Args:
        connection: The publishing transaction.
        run_id: The run.
        dataset: consultations, readings, disease_activity or images.
        lines: Outcome, number of rows, and the rule of quarantined rows (otherwise empty).
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


def close_run(engine: Engine, run_id: UUID | str, status: str, message: str = "") -> None:
    """Record the result of a run: `succeeded`, or `failed` with a message. Of several results the latest applies.

    Raises:
        WarehouseUnavailable: The server cannot be reached.
    """
    with transaction(engine) as connection:
        connection.execute(
            sa.text("INSERT INTO scoring.run_result (run_id, status, message) VALUES (:run_id, :status, :message)"),
            {"run_id": str(run_id), "status": status, "message": message},
        )


def publish_lock(connection: Connection, wait_s: int = PUBLISH_WAIT_S) -> None:
    """Wait until no other run publishes, and exclude other runs until the end of this transaction.

    Args:
        connection: Inside the publishing transaction; the wait also limits its later locks.
        wait_s: Maximum wait, in seconds.

    Raises:
        WarehouseUnavailable: Another run still publishes after that time.
    """
    connection.execute(sa.text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{wait_s}s"})
    try:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('scoring:publish', 0))"))
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "pgcode", None) != "55P03":  # lock_not_available
            raise
        raise WarehouseUnavailable(
            f"Another run has been publishing to the warehouse for more than {wait_s} s. Nothing was written. Try this "
            "run again when the other one has ended."
        ) from error
