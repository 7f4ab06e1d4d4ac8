"""Series of Rau scores to forecast, and where the forecasts go."""

from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.as_of import PREDICTED, REPORTED
from scoring.warehouse.bulk import UpsertCounts, upsert

# Half of a 90 % interval in standard deviations of a normal distribution.
_Q95 = 1.6449

_REPORTED = f"WITH {REPORTED} SELECT patient_id, visit_date, reported_rau AS rau FROM reported ORDER BY 1, 2"  # noqa: S608 - put together from the job's own text

_PREDICTED = f"""
WITH {PREDICTED}
SELECT patient_id, visit_date, predicted_rau AS rau, (rau_q95 - rau_q05) / (2 * :q95) AS rau_sd, n_scored
FROM predicted
ORDER BY patient_id, visit_date
"""  # noqa: S608 - put together from the job's own text

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


def series(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Rau score of each visit, as far as delivered by a date.

    Args:
        connection: Inside the caller's transaction.
        as_of: Landing folder up to which records count (`scoring.warehouse.as_of`).
        model_version: The model behind `predicted_rau`.

    Returns:
        One row for each damage (reported_rau, predicted_rau), patient and visit: damage, patient_id, visit_date, rau
        (0-190 points), rau_sd (from the interval of a predicted score, points; missing if reported), n_scored (missing
        if reported: the registry does not tell which joints its score covers).
    """
    params: dict[str, Any] = {"as_of": as_of, "model_version": model_version, "q95": _Q95}
    reported, predicted = (
        pd.read_sql_query(sa.text(query), connection, params=params) for query in (_REPORTED, _PREDICTED)
    )
    found = pd.concat(
        [
            reported.assign(damage="reported_rau", rau_sd=np.nan, n_scored=np.nan),
            predicted.assign(damage="predicted_rau"),
        ],
        ignore_index=True,
    )
    columns = ["damage", "patient_id", "visit_date", "rau", "rau_sd", "n_scored"]
    return found[columns].astype(dict.fromkeys(columns[3:], "float64"))


def publish_forecast(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the forecasts as of a date; those of an earlier look that are no longer among them are withdrawn.

    Args:
        connection: Inside the caller's transaction.
        as_of: Landing folder up to which records were counted.
        model_version: The model behind `predicted_rau`.
        run_id: A run that is open.
        frame: damage, horizon_months, n_patients and the columns of `scoring.analysis.course.forecast`.

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
            "n_films",
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
