"""Damage and activity over time as far as delivered by a date, and where their associations go."""

from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.as_of import ACTIVITY, PREDICTED, REPORTED
from scoring.warehouse.bulk import UpsertCounts, upsert
from scoring.warehouse.engine import transaction

_FILMS = f"""
WITH {REPORTED},{PREDICTED}
SELECT patient_id, visit_date, reported_rau, predicted_rau, n_scored
FROM reported
FULL JOIN predicted USING (patient_id, visit_date)
ORDER BY patient_id, visit_date
"""  # noqa: S608 - put together from the job's own text

_ACTIVITY = f"""
WITH {ACTIVITY}
SELECT patient_id, visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3
FROM activity
ORDER BY patient_id, visit_date
"""  # noqa: S608 - put together from the job's own text

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


def films_as_of(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Damage at each visit with films, as far as delivered by a date.

    Args:
        connection: Sees what its own transaction has published.
        as_of: Landing folder up to which records count (`scoring.warehouse.as_of`).
        model_version: The model behind `predicted_rau`.

    Returns:
        One row for each patient and visit: patient_id, visit_date, reported_rau, predicted_rau (0-190 points),
        n_scored (joints behind predicted_rau); NaN where missing.
    """
    return _read(connection, _FILMS, as_of, model_version=model_version)


def activity_as_of(connection: Connection, as_of: date) -> pd.DataFrame:
    """Disease activity at each visit, as far as delivered by a date.

    Args:
        connection: Sees what its own transaction has published.
        as_of: Landing folder up to which records count (`scoring.warehouse.as_of`).

    Returns:
        One row for each patient and visit: patient_id, visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3; NaN
        where missing.
    """
    return _read(connection, _ACTIVITY, as_of)


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


def association_table(engine: Engine, as_of: date, model_version: str, stratum_kind: str) -> pd.DataFrame:
    """The associations as of a date in one kind of strata; columns as in `analyst.association`."""
    with transaction(engine) as connection:
        return pd.read_sql_query(
            sa.text(
                "SELECT * FROM analyst.association WHERE as_of = :as_of AND model_version = :model_version"
                " AND stratum_kind = :stratum_kind"
                " ORDER BY damage, activity, relation, lag_window, method, stratum"
            ),
            connection,
            params={"as_of": as_of, "model_version": model_version, "stratum_kind": stratum_kind},
        )


def _read(connection: Connection, query: str, as_of: date, **params: str) -> pd.DataFrame:
    frame = pd.read_sql_query(sa.text(query), connection, params={"as_of": as_of, **params}, parse_dates=["visit_date"])
    return frame.astype(dict.fromkeys(frame.columns[2:], "float64"))
