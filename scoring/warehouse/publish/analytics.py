"""Writes correlations, associations and forecasts as of a date, and comparisons of two models.

In all functions, `as_of` is the newest batch included, `model_version` is the model of `predicted_rau`, and `run_id` is
an open run. The frames come from `scoring.analysis` and have the columns of the tables in schema analytics.
"""

from datetime import date
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Connection

from scoring.clinical.joints import REGISTRY_JOINTS
from scoring.warehouse.bulk import UpsertCounts, upsert
from scoring.warehouse.statements import read_frame, statement

_ASSOCIATION = ["damage", "activity", "relation", "lag_window", "method", "stratum_kind", "stratum"]


def publish_correlation(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the correlations as of a date."""
    return _publish(connection, "correlation", frame, as_of=as_of, model_version=model_version, run_id=run_id)


def publish_association(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the associations as of a date.

    The job deletes no rows: existing rows that are not in the frame keep 0 observations.
    """
    query = (
        f"SELECT {', '.join(_ASSOCIATION)}, confidence FROM analytics.association"  # noqa: S608 - constants
        " WHERE as_of = :as_of AND model_version = :model_version"
    )
    existing = read_frame(connection, query, as_of=as_of, model_version=model_version)
    present = pd.MultiIndex.from_frame(frame[_ASSOCIATION])
    absent = existing[~pd.MultiIndex.from_frame(existing[_ASSOCIATION]).isin(present)]
    rows = pd.concat([frame, absent.assign(n_observations=0, n_patients=0)]) if len(absent) else frame
    return _publish(connection, "association", rows, as_of=as_of, model_version=model_version, run_id=run_id)


def publish_forecast(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the forecasts as of a date; existing ones that are not in the frame are withdrawn."""
    origin = {"as_of": as_of, "model_version": model_version, "run_id": run_id}
    present = {"damages": list(frame["damage"]), "patients": list(frame["patient_id"])}
    connection.execute(statement("withdraw_forecasts"), {**origin, **present})
    return _publish(connection, "rau_forecast", frame, withdrawn=False, **origin)


def publish_model_comparison(
    connection: Connection, old_model: str, new_model: str, run_id: UUID | str | None
) -> UpsertCounts:
    """Compare a new champion with the former one on everything that both have scored, and write the comparison.

    `run_id` is the rescoring, or None if the promotion takes effect at once.
    """
    found = read_frame(
        connection,
        statement("compare_models"),
        old_model=old_model,
        new_model=new_model,
        joints=[joint.column for joint in REGISTRY_JOINTS],
        kinds=[joint.kind for joint in REGISTRY_JOINTS],
    )
    return _publish(connection, "model_comparison", found, old_model=old_model, new_model=new_model, run_id=run_id)


def _publish(connection: Connection, table: str, frame: pd.DataFrame, **shared: Any) -> UpsertCounts:
    rows = frame.assign(**shared, computed_at=pd.Timestamp.now(tz="UTC"))
    return upsert(connection, f"analytics.{table}", rows)
