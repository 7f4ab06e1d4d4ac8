"""Damage and activity as of a date: what the analyses read."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import transaction
from scoring.warehouse.queries.as_of import ACTIVITY, PREDICTED, REPORTED

# Only visits with a measure of activity are taken, as only they can be correlated.
_VISITS = f"""
WITH {REPORTED},{PREDICTED},{ACTIVITY}
SELECT patient_id, visit_date, reported_rau, predicted_rau, das28_esr4, das28_esr3, das28_crp4, das28_crp3,
    physician_global, patient_global
FROM activity
LEFT JOIN reported USING (patient_id, visit_date)
LEFT JOIN predicted USING (patient_id, visit_date)
WHERE reported_rau IS NOT NULL OR predicted_rau IS NOT NULL
ORDER BY patient_id, visit_date
"""  # noqa: S608 - put together from the job's own text


def visits_for_correlation(source: Engine | Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Damage and activity of each visit that has both, as far as delivered by a date.

    Args:
        source: The warehouse; a connection sees what its own transaction has published.
        as_of: Landing folder up to which records count (`scoring.warehouse.queries.as_of`).
        model_version: The model behind `predicted_rau`.

    Returns:
        One row for each patient and visit: patient_id, visit_date, reported_rau, predicted_rau (0-190 points),
        das28_esr4, das28_esr3, das28_crp4, das28_crp3, physician_global, patient_global; NaN where missing.
    """
    if isinstance(source, Engine):
        with transaction(source) as connection:
            return visits_for_correlation(connection, as_of, model_version)
    return pd.read_sql_query(
        sa.text(_VISITS),
        source,
        params={"as_of": as_of, "model_version": model_version},
        dtype=dict.fromkeys(
            (
                "reported_rau",
                "predicted_rau",
                "das28_esr4",
                "das28_esr3",
                "das28_crp4",
                "das28_crp3",
                "physician_global",
                "patient_global",
            ),
            "float64",
        ),
    )


def newest_as_of(connection: Connection, model_version: str) -> date | None:
    """The newest date for which correlations of a model were computed; None before the first."""
    found: date | None = connection.scalar(
        sa.text("SELECT max(as_of) FROM analytics.correlation WHERE model_version = :model_version"),
        {"model_version": model_version},
    )
    return found


_RADIOGRAPHS = f"""
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


def radiographs_as_of(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Damage at each visit with radiographs, as far as delivered by a date.

    Args:
        connection: Sees what its own transaction has published.
        as_of: Landing folder up to which records count (`scoring.warehouse.queries.as_of`).
        model_version: The model behind `predicted_rau`.

    Returns:
        One row for each patient and visit: patient_id, visit_date, reported_rau, predicted_rau (0-190 points),
        n_scored (joints behind predicted_rau); NaN where missing.
    """
    return _read(connection, _RADIOGRAPHS, as_of, model_version=model_version)


def activity_as_of(connection: Connection, as_of: date) -> pd.DataFrame:
    """Disease activity at each visit, as far as delivered by a date.

    Args:
        connection: Sees what its own transaction has published.
        as_of: Landing folder up to which records count (`scoring.warehouse.queries.as_of`).

    Returns:
        One row for each patient and visit: patient_id, visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3; NaN
        where missing.
    """
    return _read(connection, _ACTIVITY, as_of)


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


# Half of a 90 % interval in standard deviations of a normal distribution.
_Q95 = 1.6449


_REPORTED = f"WITH {REPORTED} SELECT patient_id, visit_date, reported_rau AS rau FROM reported ORDER BY 1, 2"  # noqa: S608 - put together from the job's own text


_PREDICTED = f"""
WITH {PREDICTED}
SELECT patient_id, visit_date, predicted_rau AS rau, (rau_q95 - rau_q05) / (2 * :q95) AS rau_sd, n_scored
FROM predicted
ORDER BY patient_id, visit_date
"""  # noqa: S608 - put together from the job's own text


def series(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Rau score of each visit, as far as delivered by a date.

    Args:
        connection: Inside the caller's transaction.
        as_of: Landing folder up to which records count (`scoring.warehouse.queries.as_of`).
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


def radiograph_predictions(
    connection: Connection, model_version: str, preprocessing_version: str, sop_iuids: Sequence[str]
) -> pd.DataFrame:
    """Predictions of all joints of the visits to which these radiographs belong, or belonged when they were last scored.

    A Rau score of a visit needs the joints of all its radiographs, also of those that came on earlier nights. A radiograph that the
    registry has moved changes two visits: the one it came to, and what is left of the one it came from.

    Args:
        connection: Sees what its own transaction has published.
        model_version: The model.
        preprocessing_version: Its preprocessing.
        sop_iuids: The radiographs whose images or consultations were accepted.

    Returns:
        patient_id, visit_date (date), sop_iuid, joint, image_sha256, predicted_percent, predicted_grade, grade_probability
        (list of six floats), batch_date (the prediction's night), in the order of patient, visit, radiograph and joint.
    """
    return pd.read_sql_query(
        sa.text(
            "WITH affected AS (SELECT patient_id, visit_date FROM registry.radiograph WHERE sop_iuid = ANY(:sop_iuids)"
            " UNION SELECT patient_id, visit_date FROM scoring.rau_prediction"
            " WHERE scope = 'radiograph' AND sop_iuid = ANY(:sop_iuids) AND model_version = :model_version"
            " AND preprocessing_version = :preprocessing_version)"
            " SELECT r.patient_id, r.visit_date, p.sop_iuid, p.joint, p.image_sha256, p.predicted_percent,"
            " p.predicted_grade, p.grade_probability, p.batch_date"
            " FROM scoring.joint_prediction AS p INNER JOIN registry.radiograph AS r ON r.sop_iuid = p.sop_iuid"
            " WHERE p.model_version = :model_version AND p.preprocessing_version = :preprocessing_version"
            " AND (r.patient_id, r.visit_date) IN (SELECT patient_id, visit_date FROM affected)"
            " ORDER BY r.patient_id, r.visit_date, p.sop_iuid, p.joint"
        ),
        connection,
        params={
            "model_version": model_version,
            "preprocessing_version": preprocessing_version,
            "sop_iuids": sorted(set(sop_iuids)),
        },
    )
