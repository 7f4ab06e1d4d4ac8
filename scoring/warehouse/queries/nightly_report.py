"""What the nightly report shows, read from the warehouse."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

_JOINTS_OF_RUN = (
    "SELECT p.patient_id, p.visit_date, p.sop_iuid, p.joint, p.predicted_percent, p.predicted_q05, p.predicted_q95,"
    " p.predicted_q95 - p.predicted_q05 AS interval_width, p.predicted_grade, p.image_sha256, p.image_uri, p.trained_on_synthetic"
    " FROM analyst.current_joint_prediction AS p WHERE p.batch_date = :batch_date"
)


def row_counts(connection: Connection, run_id: UUID | str) -> pd.DataFrame:
    """The books of a run: one row a dataset, columns as in `analyst.run_reconciliation`."""
    return _read(
        connection,
        "SELECT * FROM analyst.run_reconciliation WHERE run_id = :run_id ORDER BY dataset",
        {"run_id": str(run_id)},
    )


def quarantine_of_run(connection: Connection, run_id: UUID | str) -> pd.DataFrame:
    """What the run refused or noted, also if an earlier run of the night had refused it already.

    Returns:
        dataset, rule, severity, kept, record_id, source_file, row_number, batch_date, reason, remedy, row_key.
    """
    return _read(
        connection,
        "SELECT q.dataset, q.rule, q.severity, q.kept, q.record_id, q.source_file, q.row_number, q.batch_date,"
        " q.reason, q.remedy, q.row_key"
        " FROM scoring.quarantine AS q"
        " WHERE EXISTS (SELECT FROM scoring.run_quarantine AS met WHERE met.run_id = :run_id"
        " AND met.row_key = q.row_key AND met.rule = q.rule)"
        # A step that was cleared and run again has closed what its first attempt met and its last one did not.
        " AND q.resolved_by_run IS DISTINCT FROM CAST(:run_id AS uuid)"
        " ORDER BY q.dataset, q.severity, q.rule, q.source_file, q.row_number, q.row_key",
        {"run_id": str(run_id)},
    )


def grade_distribution(connection: Connection, nights: int, until: date | None = None) -> pd.DataFrame:
    """How often the champion gave each grade, in each of the last nights that scored anything.

    Args:
        connection: A transaction that reads.
        nights: How many nights.
        until: The last night to count; None for the newest.

    Returns:
        batch_date, predicted_grade, n, share (of the night's joints), oldest night first.
    """
    return _read(
        connection,
        "WITH night AS (SELECT DISTINCT batch_date FROM analyst.current_joint_prediction"
        " WHERE CAST(:until AS date) IS NULL OR batch_date <= :until ORDER BY batch_date DESC LIMIT :nights)"
        " SELECT p.batch_date, p.predicted_grade, count(*) AS n,"
        " CAST(count(*) / sum(count(*)) OVER (PARTITION BY p.batch_date) AS double precision) AS share"
        " FROM analyst.current_joint_prediction AS p INNER JOIN night USING (batch_date)"
        " GROUP BY p.batch_date, p.predicted_grade ORDER BY p.batch_date, p.predicted_grade",
        {"nights": nights, "until": until},
    )


def correlation_table(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """The correlations as of a date; columns as in `analyst.correlation`."""
    return _read(
        connection,
        "SELECT * FROM analyst.correlation WHERE as_of = :as_of AND model_version = :model_version"
        " ORDER BY damage, activity, method",
        {"as_of": as_of, "model_version": model_version},
    )


def most_severe_joints(connection: Connection, batch_date: date, limit: int) -> pd.DataFrame:
    """Joints of the night with the largest expected erosion, with the place of their images."""
    return _read(
        connection,
        f"{_JOINTS_OF_RUN} ORDER BY p.predicted_percent DESC, p.image_sha256 LIMIT :limit",
        {"batch_date": batch_date, "limit": limit},
    )


def most_uncertain_joints(connection: Connection, batch_date: date, limit: int) -> pd.DataFrame:
    """Joints of the night with the widest interval, with the place of their images."""
    return _read(
        connection,
        f"{_JOINTS_OF_RUN} ORDER BY p.predicted_q95 - p.predicted_q05 DESC, p.image_sha256 LIMIT :limit",
        {"batch_date": batch_date, "limit": limit},
    )


def _read(connection: Connection, query: str, params: Mapping[str, Any]) -> pd.DataFrame:
    return pd.read_sql_query(sa.text(query), connection, params=dict(params))
