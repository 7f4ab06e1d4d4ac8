"""Writes the forecasts of Rau scores as of a date."""

from datetime import date
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, upsert
from scoring.warehouse.statements import statement

_PAYLOAD = (
    "last_visit",
    "forecast_date",
    "n_visits",
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
)


def publish_forecast(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the forecasts as of a date; existing ones that are not in the frame are withdrawn.

    Args:
        connection: Inside the publishing transaction.
        as_of: Newest batch included.
        model_version: Model of `predicted_rau`.
        run_id: An open run.
        frame: damage, horizon_months, n_patients and the columns of `scoring.analysis.progression.forecast`.
    """
    origin: dict[str, Any] = {"as_of": as_of, "model_version": model_version, "run_id": str(run_id)}
    connection.execute(
        statement("withdraw_forecasts"),
        {**origin, "damages": list(frame["damage"]), "patients": list(frame["patient_id"])},
    )
    return upsert(
        connection,
        "analytics.rau_forecast",
        frame.assign(**origin, withdrawn=False, computed_at=pd.Timestamp.now(tz="UTC")),
        key=("model_version", "as_of", "damage", "patient_id", "horizon_months"),
        payload=_PAYLOAD,
        provenance=("run_id", "computed_at"),
    )
