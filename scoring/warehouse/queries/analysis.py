"""Reads damage and disease activity as of a date, and the predictions from which Rau scores are computed.

`sql/functions/010_as_of.sql` defines "as of". In all functions, `as_of` is the newest batch included,
and `model_version` is the model of `predicted_rau`. A connection sees the rows that its own transaction has published.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.statements import read_frame, statement

# Half the width of a central 90 % interval in standard deviations, for a normal distribution.
_HALF_WIDTH_90 = 1.6449

_RADIOGRAPHS = (
    "SELECT patient_id, visit_date, reported_rau, predicted_rau, n_scored FROM analytics.reported_rau_as_of(:as_of)"
    " FULL JOIN analytics.predicted_rau_as_of(:as_of, :model_version) USING (patient_id, visit_date)"
    " ORDER BY patient_id, visit_date"
)
_ACTIVITY = (
    "SELECT patient_id, visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3"
    " FROM analytics.activity_as_of(:as_of) ORDER BY patient_id, visit_date"
)
_REPORTED = (
    "SELECT patient_id, visit_date, reported_rau AS rau FROM analytics.reported_rau_as_of(:as_of)"
    " ORDER BY patient_id, visit_date"
)
_PREDICTED = (
    "SELECT patient_id, visit_date, predicted_rau AS rau, (rau_q95 - rau_q05) / (2 * :half_width) AS rau_sd, n_scored"
    " FROM analytics.predicted_rau_as_of(:as_of, :model_version) ORDER BY patient_id, visit_date"
)


def newest_as_of(connection: Connection, model_version: str) -> date | None:
    """Return the newest date with correlations of a model; None if there is none."""
    query = sa.text("SELECT max(as_of) FROM analytics.correlation WHERE model_version = :model_version")
    found: date | None = connection.scalar(query, {"model_version": model_version})
    return found


def visits_for_correlation(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Return damage and disease activity of each visit that has both.

    Returns:
        One row per patient and visit: patient_id, visit_date, reported_rau, predicted_rau (0-190 points), das28_esr4,
        das28_esr3, das28_crp4, das28_crp3, physician_global, patient_global (mm); NaN where missing.
    """
    return _numeric(read_frame(connection, statement("visits_to_correlate"), as_of=as_of, model_version=model_version))


def radiographs_as_of(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Return the damage at each visit with radiographs.

    Returns:
        One row per patient and visit: patient_id, visit_date, reported_rau, predicted_rau (0-190 points), n_scored
        (joints of predicted_rau); NaN where missing.
    """
    return _dated(read_frame(connection, _RADIOGRAPHS, as_of=as_of, model_version=model_version))


def activity_as_of(connection: Connection, as_of: date) -> pd.DataFrame:
    """Return the disease activity at each visit.

    Returns:
        One row per patient and visit: patient_id, visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3; NaN where
        missing.
    """
    return _dated(read_frame(connection, _ACTIVITY, as_of=as_of))


def series(connection: Connection, as_of: date, model_version: str) -> pd.DataFrame:
    """Return the reported and the predicted Rau scores of each visit.

    Returns:
        One row per damage (reported_rau, predicted_rau), patient and visit: damage, patient_id, visit_date, rau (0-190
        points), rau_sd (from the interval of a predicted score, points), n_scored. The last two are missing for
        reported scores, because the registry does not report which joints a score covers.
    """
    reported = read_frame(connection, _REPORTED, as_of=as_of)
    predicted = read_frame(connection, _PREDICTED, as_of=as_of, model_version=model_version, half_width=_HALF_WIDTH_90)
    found = pd.concat(
        [
            reported.assign(damage="reported_rau", rau_sd=np.nan, n_scored=np.nan),
            predicted.assign(damage="predicted_rau"),
        ],
        ignore_index=True,
    )
    columns = ["damage", "patient_id", "visit_date", "rau", "rau_sd", "n_scored"]
    return found[columns].astype(dict.fromkeys(columns[3:], "float64"))


def _numeric(visits: pd.DataFrame) -> pd.DataFrame:
    return visits.astype(dict.fromkeys(visits.columns[2:], "float64"))


def _dated(visits: pd.DataFrame) -> pd.DataFrame:
    return _numeric(visits.assign(visit_date=pd.to_datetime(visits["visit_date"])))


def association_table(connection: Connection, as_of: date, model_version: str, stratum_kind: str) -> pd.DataFrame:
    """Return the associations as of a date in one kind of strata; columns as in `analyst.association`."""
    query = (
        "SELECT * FROM analyst.association WHERE as_of = :as_of AND model_version = :model_version"
        " AND stratum_kind = :stratum_kind ORDER BY damage, activity, relation, lag_window, method, stratum"
    )
    return read_frame(connection, query, as_of=as_of, model_version=model_version, stratum_kind=stratum_kind)


def radiograph_predictions(
    connection: Connection, model_version: str, preprocessing_version: str, sop_iuids: Sequence[str]
) -> pd.DataFrame:
    """Return all joint predictions of the visits to which these radiographs belong, or belonged when last scored.

    The Rau score of a visit needs the joints of all its radiographs, also of earlier batches, and a moved radiograph
    changes two visits: the one that it left and the one that it joined.

    Returns:
        patient_id, visit_date (date), sop_iuid, joint, image_sha256, predicted_percent, predicted_grade,
        grade_probability (list of six floats), batch_date; sorted by patient, visit, radiograph and joint.
    """
    return read_frame(
        connection,
        statement("predictions_of_visits"),
        model_version=model_version,
        preprocessing_version=preprocessing_version,
        sop_iuids=sorted(set(sop_iuids)),
    )
