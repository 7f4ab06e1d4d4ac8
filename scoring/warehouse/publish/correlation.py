"""Writes the correlations of damage and disease activity as of a date."""

from datetime import date
from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, upsert


def publish_correlation(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the correlations as of a date.

    Args:
        connection: Inside the publishing transaction.
        as_of: Newest batch included.
        model_version: Model of `predicted_rau`.
        run_id: An open run.
        frame: damage, activity, method, estimate, ci_low, ci_high, confidence, n_visits, n_patients.
    """
    rows = frame.assign(
        as_of=as_of, model_version=model_version, run_id=str(run_id), computed_at=pd.Timestamp.now(tz="UTC")
    )
    return upsert(
        connection,
        "analytics.correlation",
        rows,
        key=("as_of", "model_version", "damage", "activity", "method"),
        payload=("estimate", "ci_low", "ci_high", "confidence", "n_visits", "n_patients"),
        provenance=("run_id", "computed_at"),
    )
