"""Reads the content of the nightly report."""

from datetime import date
from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Connection

from scoring.warehouse.statements import read_frame, statement

_JOINTS = (
    "SELECT patient_id, visit_date, sop_iuid, joint, predicted_percent, predicted_q05, predicted_q95,"
    " predicted_q95 - predicted_q05 AS interval_width, predicted_grade, image_sha256, image_uri, trained_on_synthetic"
    " FROM analyst.current_joint_prediction WHERE batch_date = :batch_date"
)


def row_counts(connection: Connection, run_id: UUID | str) -> pd.DataFrame:
    """Return the row counts of a run, one row per dataset; columns as in `analyst.run_reconciliation`."""
    query = "SELECT * FROM analyst.run_reconciliation WHERE run_id = :run_id ORDER BY dataset"
    return read_frame(connection, query, run_id=run_id)


def quarantine_of_run(connection: Connection, run_id: UUID | str) -> pd.DataFrame:
    """Return the rows that a run quarantined or flagged, also if an earlier run had quarantined them already.

    Returns:
        dataset, rule, severity, kept, record_id, source_file, row_number, batch_date, reason, remedy, row_key.
    """
    return read_frame(connection, statement("quarantine_of_run"), run_id=run_id)


def grade_distribution(connection: Connection, n_batches: int, until: date | None = None) -> pd.DataFrame:
    """Return how often the champion predicted each grade, in the last batches (by default, of all) with scored images.

    Returns:
        batch_date, predicted_grade, n, share (of the joints of the batch, 0-1); oldest batch first.
    """
    return read_frame(connection, statement("grade_distribution"), n_batches=n_batches, until=until)


def correlation_table(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Return the correlations as of a date; columns as in `analyst.correlation`."""
    query = (
        "SELECT * FROM analyst.correlation WHERE as_of = :as_of AND model_version = :model_version"
        " ORDER BY damage, activity, method"
    )
    return read_frame(connection, query, as_of=as_of, model_version=model_version)


def most_severe_joints(connection: Connection, batch_date: date, limit: int) -> pd.DataFrame:
    """Return the joints of a batch with the largest expected erosion, and the location of their images."""
    query = f"{_JOINTS} ORDER BY predicted_percent DESC, image_sha256 LIMIT :limit"
    return read_frame(connection, query, batch_date=batch_date, limit=limit)


def most_uncertain_joints(connection: Connection, batch_date: date, limit: int) -> pd.DataFrame:
    """Return the joints of a batch with the widest interval, and the location of their images."""
    query = f"{_JOINTS} ORDER BY predicted_q95 - predicted_q05 DESC, image_sha256 LIMIT :limit"
    return read_frame(connection, query, batch_date=batch_date, limit=limit)
