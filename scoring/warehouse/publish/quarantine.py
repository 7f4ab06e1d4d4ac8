"""Writes quarantined rows, and closes those that were accepted, corrected or removed since."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, insert_missing, upsert

_QUARANTINE = (
    "dataset",
    "record_id",
    "severity",
    "kept",
    "reason",
    "remedy",
    "source_file",
    "row_number",
    "batch_date",
    # Other bytes that are refused for the same reason are news: the next night must know them as the ones it need not
    # look at again.
    "content_sha256",
    "resolved_by_run",
    "resolved_at",
)


def publish_quarantine(connection: Connection, run_id: UUID | str, frame: pd.DataFrame) -> UpsertCounts:
    """Write down what broke a rule. A row that was resolved and breaks the rule again is opened again.

    Args:
        connection: Inside the caller's transaction.
        run_id: A run that is open.
        frame: The quarantine frame of validation, one row for each row_key and rule, with `content_sha256` of refused
            images (null for records).

    Returns:
        Counts of rows of the quarantine; not the books' count, which takes each landed row once.
    """
    rows = frame.assign(
        run_id=str(run_id),
        quarantined_at=pd.Timestamp.now(tz="UTC"),
        resolved_by_run=None,
        resolved_at=None,
    )
    counts = upsert(
        connection,
        "scoring.quarantine",
        rows,
        key=("row_key", "rule"),
        payload=_QUARANTINE,
        provenance=("run_id", "quarantined_at"),
    )
    met = ("run_id", "row_key", "rule", "recorded_at")
    insert_missing(
        connection,
        "scoring.run_quarantine",
        rows.assign(recorded_at=connection.scalar(sa.text("SELECT now()")))[list(met)],
        key=met,
    )
    return counts


def resolve_quarantine(
    connection: Connection, run_id: UUID | str, row_keys: Iterable[str], source_files: Iterable[str]
) -> int:
    """Mark quarantine rows as resolved that no longer hold: accepted by this run, or not met in their file any more.

    Args:
        connection: The transaction in which `publish_quarantine` has written what this run met.
        run_id: A run that is open.
        row_keys: Keys of the rows that were accepted; closes what was critical about them.
        source_files: Files that this run has read; closes whatever of them it has not met again.

    Returns:
        Number of quarantine rows that were open and are resolved now.
    """
    return connection.execute(
        sa.text(
            "UPDATE scoring.quarantine AS q SET resolved_by_run = CAST(:run_id AS uuid), resolved_at = now()"
            " WHERE q.resolved_at IS NULL AND ((NOT q.kept AND q.row_key = ANY(:row_keys))"
            " OR (q.source_file = ANY(:source_files) AND NOT EXISTS ("
            "SELECT FROM scoring.run_quarantine AS met WHERE met.run_id = CAST(:run_id AS uuid)"
            # The one transaction of this attempt: an earlier attempt of the same run may have met more.
            " AND met.row_key = q.row_key AND met.rule = q.rule AND met.recorded_at = now())))"
        ),
        {"run_id": str(run_id), "row_keys": sorted(set(row_keys)), "source_files": sorted(set(source_files))},
    ).rowcount


def resolve_removed(
    connection: Connection, run_id: UUID | str, batch_dates: Iterable[date], present_source_files: Iterable[str]
) -> int:
    """Mark quarantine rows of images as resolved whose file is no longer in its folder.

    Args:
        connection: Inside the caller's transaction.
        run_id: A run that is open.
        batch_dates: Landing folders that this run has listed.
        present_source_files: All image files that are in them.

    Returns:
        Number of quarantine rows that were open and are resolved now.
    """
    return connection.execute(
        sa.text(
            "UPDATE scoring.quarantine SET resolved_by_run = CAST(:run_id AS uuid), resolved_at = now()"
            " WHERE resolved_at IS NULL AND dataset = 'images' AND batch_date = ANY(CAST(:batch_dates AS date[]))"
            " AND source_file <> ALL(CAST(:present AS text[]))"
        ),
        {
            "run_id": str(run_id),
            "batch_dates": sorted(set(batch_dates)),
            "present": sorted(set(present_source_files)),
        },
    ).rowcount
