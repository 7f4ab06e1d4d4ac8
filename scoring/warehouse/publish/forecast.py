"""Series of Rau scores to forecast, and where the forecasts go."""

from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, upsert

_WITHDRAW = """
UPDATE analytics.rau_forecast AS f
SET withdrawn = TRUE, run_id = CAST(:run_id AS uuid), computed_at = now()
WHERE f.as_of = :as_of AND f.model_version = :model_version AND NOT f.withdrawn
    AND NOT EXISTS (
        SELECT
        FROM unnest(CAST(:damages AS text[]), CAST(:patients AS text[])) AS kept (damage, patient_id)
        WHERE kept.damage = f.damage AND kept.patient_id = f.patient_id
    )
"""


def publish_forecast(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the forecasts as of a date; those of an earlier look that are no longer among them are withdrawn.

    Args:
        connection: Inside the caller's transaction.
        as_of: Landing folder up to which records were counted.
        model_version: The model behind `predicted_rau`.
        run_id: A run that is open.
        frame: damage, horizon_months, n_patients and the columns of `scoring.analysis.progression.forecast`.

    Returns:
        new, updated and unchanged rows.
    """
    connection.execute(
        sa.text(_WITHDRAW),
        {
            "as_of": as_of,
            "model_version": model_version,
            "run_id": str(run_id),
            "damages": list(frame["damage"]),
            "patients": list(frame["patient_id"]),
        },
    )
    rows = frame.assign(
        as_of=as_of,
        model_version=model_version,
        withdrawn=False,
        run_id=str(run_id),
        computed_at=pd.Timestamp.now(tz="UTC"),
    )
    return upsert(
        connection,
        "analytics.rau_forecast",
        rows,
        key=("model_version", "as_of", "damage", "patient_id", "horizon_months"),
        payload=(
            "last_visit",
            "forecast_date",
            "n_radiographs",
            "n_scored",
            "rau_last",
            "rau_level",
            "rau_expected",
            "rau_median",
            "rau_q05",
            "rau_q95",
            "p_beyond_sdc",
            "n_patients",
            "withdrawn",
        ),
        provenance=("run_id", "computed_at"),
    )
