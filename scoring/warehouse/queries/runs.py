"""Reads runs, their results and their row counts."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import transaction
from scoring.warehouse.statements import read_frame, statement


@dataclass(frozen=True)
class RunFacts:
    """A run with its model and inference engine; columns as in `sql/statements/run_facts.sql`."""

    run_id: str
    batch_date: date
    started_at: datetime
    finished_at: datetime | None
    code_revision: str
    model_version: str
    weights_sha256: str
    trained_on_synthetic: bool
    preprocessing_version: str
    engine: str


def run_facts(connection: Connection, run_id: UUID | str) -> RunFacts:
    """Return the facts of a run."""
    return RunFacts(**connection.execute(statement("run_facts"), {"run_id": run_id}).mappings().one())


def last_closed_run(engine: Engine, batch_date: date) -> tuple[str, str] | None:
    """Return id and message (empty if it succeeded) of the last closed nightly run of a batch; None without a run."""
    query = (
        "SELECT CAST(run_id AS text) AS run_id, message FROM analyst.run_reconciliation"
        " WHERE batch_date = :batch_date AND job = 'nightly_scoring' AND status IS NOT NULL"
        " ORDER BY started_at DESC LIMIT 1"
    )
    with transaction(engine) as connection:
        found = connection.execute(sa.text(query), {"batch_date": batch_date}).one_or_none()
    return None if found is None else (found.run_id, found.message)


def succeeded_batches(engine: Engine) -> set[date]:
    """Return the batches with a succeeded nightly run."""
    query = "SELECT batch_date FROM analyst.run_reconciliation WHERE job = 'nightly_scoring' AND status = 'succeeded'"
    with transaction(engine) as connection:
        return set(connection.scalars(sa.text(query)))


def recent_runs(engine: Engine, limit: int) -> pd.DataFrame:
    """Return the last nightly runs with their row counts, one row per run, oldest first."""
    counts = ("images", "scored", "already_scored", "records", "changed", "quarantined")
    with transaction(engine) as connection:
        newest_first = read_frame(connection, statement("recent_runs"), dict.fromkeys(counts, "Int64"), limit=limit)
    return newest_first.iloc[::-1]


def row_counts(engine: Engine, run_id: UUID | str) -> dict[str, tuple[int, int]]:
    """Return the numbers of received and of unaccounted rows of a run, by dataset."""
    query = (
        "SELECT dataset, received, unaccounted_for FROM analyst.run_reconciliation"
        " WHERE run_id = :run_id AND dataset IS NOT NULL"
    )
    with transaction(engine) as connection:
        found = connection.execute(sa.text(query), {"run_id": run_id})
        return {row.dataset: (row.received, row.unaccounted_for) for row in found}
