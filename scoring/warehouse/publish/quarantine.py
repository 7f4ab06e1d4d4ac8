"""Writes quarantined rows, and resolves those that were accepted, corrected or removed since."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, insert_missing, upsert
from scoring.warehouse.statements import statement


def publish_quarantine(connection: Connection, run_id: UUID | str, frame: pd.DataFrame) -> UpsertCounts:
    """Write the rows that broke a rule. A resolved row that breaks the rule again is opened again.

    An image that is rejected for the same reason but with other bytes is updated: the next run looks for these bytes.

    Args:
        connection: Inside the publishing transaction.
        run_id: An open run.
        frame: The quarantine of validation, one row per row_key and rule, with `content_sha256` of rejected images
            (null for records).

    Returns:
        Numbers of quarantine rows. Reconciliation does not use them, because it counts each received row once.
    """
    rows = frame.assign(
        run_id=str(run_id), quarantined_at=pd.Timestamp.now(tz="UTC"), resolved_by_run=None, resolved_at=None
    )
    counts = upsert(connection, "scoring.quarantine", rows)
    now = connection.scalar(sa.text("SELECT now()"))
    insert_missing(connection, "scoring.run_quarantine", rows.assign(recorded_at=now))
    return counts


def resolve_quarantine(
    connection: Connection, run_id: UUID | str, row_keys: Iterable[str], source_files: Iterable[str]
) -> int:
    """Resolve the quarantined rows that this run accepted, or did not find again in their file.

    Args:
        connection: The transaction in which `publish_quarantine` wrote the rows of this run.
        run_id: An open run.
        row_keys: Keys of accepted rows; resolves their critical rules.
        source_files: Files that this run read; resolves all their rows that it did not find again.

    Returns:
        Number of resolved rows.
    """
    params = {"run_id": run_id, "row_keys": sorted(set(row_keys)), "source_files": sorted(set(source_files))}
    return connection.execute(statement("resolve_quarantine"), params).rowcount


def resolve_removed(
    connection: Connection, run_id: UUID | str, batch_dates: Iterable[date], present_source_files: Iterable[str]
) -> int:
    """Resolve the quarantined images of these batches if their files are no longer there.

    Returns:
        Number of resolved rows.
    """
    return connection.execute(
        sa.text(
            "UPDATE scoring.quarantine SET resolved_by_run = :run_id, resolved_at = now()"
            " WHERE resolved_at IS NULL AND dataset = 'images' AND batch_date = ANY(CAST(:batch_dates AS date[]))"
            " AND source_file <> ALL(CAST(:present AS text[]))"
        ),
        {"run_id": run_id, "batch_dates": sorted(set(batch_dates)), "present": sorted(set(present_source_files))},
    ).rowcount
