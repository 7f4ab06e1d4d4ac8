"""Writes the associations of damage with disease activity over time as of a date."""

from datetime import date
from typing import Any
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, upsert

_KEY = ("damage", "activity", "relation", "lag_window", "method", "stratum_kind", "stratum")
_EXISTING = (
    f"SELECT {', '.join(_KEY)}, confidence FROM analytics.association"  # noqa: S608 - constants
    " WHERE as_of = :as_of AND model_version = :model_version"
)


def publish_association(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the associations as of a date.

    The job deletes no rows: existing rows that are not in the frame keep 0 observations.

    Args:
        connection: Inside the publishing transaction.
        as_of: Newest batch included.
        model_version: Model of `predicted_rau`.
        run_id: An open run.
        frame: damage, activity, relation, lag_window, method, stratum_kind, stratum, estimate, ci_low, ci_high,
            confidence, p_value, q_value, n_observations, n_patients.
    """
    params: dict[str, Any] = {"as_of": as_of, "model_version": model_version}
    existing = pd.read_sql_query(sa.text(_EXISTING), connection, params=params)
    key = list(_KEY)
    absent = existing[~pd.MultiIndex.from_frame(existing[key]).isin(pd.MultiIndex.from_frame(frame[key]))]
    rows = pd.concat([frame, absent.assign(n_observations=0, n_patients=0)]) if len(absent) else frame
    return upsert(
        connection,
        "analytics.association",
        rows.assign(**params, run_id=str(run_id), computed_at=pd.Timestamp.now(tz="UTC")),
        key=("as_of", "model_version", *_KEY),
        payload=("estimate", "ci_low", "ci_high", "confidence", "p_value", "q_value", "n_observations", "n_patients"),
        provenance=("run_id", "computed_at"),
    )
