"""Writes runs, their row counts and their results. A run is one attempt to process a batch; rows are only added."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import WarehouseUnavailable
from scoring.warehouse.engine import transaction
from scoring.warehouse.statements import insert


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
    """
    row = {
        "run_id": run_id,
        "batch_date": batch_date,
        "job": job,
        "trigger": trigger,
        "triggered_by": triggered_by,
        "code_revision": code_revision,
        "model_version": model_version,
    }
    with transaction(engine) as connection:
        return insert(connection, "scoring.run", row, keep_existing=True)


def record_counts(
    connection: Connection, run_id: UUID | str, dataset: str, lines: Iterable[tuple[str, int, str]]
) -> None:
    """Record the row counts of one dataset in the transaction that writes the rows.

    Each line has an outcome, the number of rows, and the rule of quarantined rows (otherwise empty). A step that is
    cleared and repeated records the counts again; the latest ones apply.
    """
    for outcome, n, rule in lines:
        row = {"run_id": run_id, "dataset": dataset, "outcome": outcome, "rule": rule, "n": n}
        insert(connection, "scoring.run_count", row)


def close_run(engine: Engine, run_id: UUID | str, status: str, message: str = "") -> None:
    """Record the result of a run: `succeeded`, or `failed` with a message. Of several results the latest applies."""
    with transaction(engine) as connection:
        insert(connection, "scoring.run_result", {"run_id": run_id, "status": status, "message": message})


def publish_lock(connection: Connection, wait_s: int = 300) -> None:
    """Wait until no other run publishes, and exclude other runs until the end of this transaction.

    `wait_s` is the maximum wait in seconds, also for later locks of the transaction.

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
            f"Another run has been publishing to the warehouse for more than {wait_s} s. Nothing was written. Run this "
            "one again when the other has ended."
        ) from error
