"""Damage and activity over time as far as delivered by a date, and where their associations go."""

from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import UpsertCounts, upsert

_KEY = (
    "as_of",
    "model_version",
    "damage",
    "activity",
    "relation",
    "lag_window",
    "method",
    "stratum_kind",
    "stratum",
)
_FIGURES = ("estimate", "ci_low", "ci_high", "confidence", "p_value", "q_value", "n_visits", "n_patients")

_EXISTING = f"SELECT {', '.join(_KEY[2:])}, confidence FROM analytics.association"  # noqa: S608 - names of this module


def publish_association(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the associations as of a date. The job deletes nothing: rows that no longer arise keep no visits.

    Args:
        connection: Inside the caller's transaction.
        as_of: Landing folder up to which records were counted.
        model_version: The model behind `predicted_rau`.
        run_id: A run that is open.
        frame: damage, activity, relation, lag_window, method, stratum_kind, stratum, estimate, ci_low, ci_high,
            confidence, p_value, q_value, n_visits, n_patients.

    Returns:
        new, updated and unchanged rows.
    """
    key = list(_KEY[2:])
    written = pd.read_sql_query(
        sa.text(f"{_EXISTING} WHERE as_of = :as_of AND model_version = :model_version"),
        connection,
        params={"as_of": as_of, "model_version": model_version},
    )
    gone = written[~pd.MultiIndex.from_frame(written[key]).isin(pd.MultiIndex.from_frame(frame[key]))]
    rows = pd.concat([frame, gone.assign(n_visits=0, n_patients=0)]) if len(gone) else frame
    return upsert(
        connection,
        "analytics.association",
        rows.assign(
            as_of=as_of, model_version=model_version, run_id=str(run_id), computed_at=pd.Timestamp.now(tz="UTC")
        ),
        key=_KEY,
        payload=_FIGURES,
        provenance=("run_id", "computed_at"),
    )
