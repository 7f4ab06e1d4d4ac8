"""Reads the content of the analytics report, as an analyst would: from the views of schema analyst only."""

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.statements import read_frame, statement

_LONGEST_SERIES = (
    "SELECT patient_id FROM analyst.rau_by_visit WHERE rau_expected IS NOT NULL OR reported_rau IS NOT NULL"
    " GROUP BY patient_id ORDER BY count(*) DESC, patient_id LIMIT 1"
)
_OF_PATIENT = {
    "scores": (
        "SELECT visit_date, reported_rau, rau_expected, rau_q05, rau_q95 FROM analyst.rau_by_visit"
        " WHERE patient_id = :patient_id AND (reported_rau IS NOT NULL OR rau_expected IS NOT NULL) ORDER BY visit_date"
    ),
    "activity": (
        "SELECT visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3 FROM analyst.disease_activity_by_visit"
        " WHERE patient_id = :patient_id ORDER BY visit_date"
    ),
    "forecast": (
        "SELECT damage, forecast_date, rau_expected, rau_q05, rau_q95 FROM analyst.rau_forecast"
        " WHERE patient_id = :patient_id AND is_newest AND is_champion ORDER BY damage"
    ),
}


def rau_and_das28(connection: Connection) -> pd.DataFrame:
    """Return Rau score and DAS28 of the same visit: activity (form of DAS28), das28, damage, rau; no identifiers."""
    return read_frame(connection, statement("rau_and_das28"))


def correlation_over_time(connection: Connection) -> pd.DataFrame:
    """Return Spearman's correlations of the champion for every date; columns as in `analyst.correlation`."""
    query = "SELECT * FROM analyst.correlation WHERE is_champion AND method = 'spearman' ORDER BY as_of"
    return read_frame(connection, query)


def changes_between_radiographs(connection: Connection) -> pd.DataFrame:
    """Return changes of the Rau score between consecutive visits of a patient: damage, change (points), ascending."""
    # change_class is null if the two visits differ in the number of scored joints.
    query = (
        "SELECT damage, rau_change AS change FROM analyst.rau_progression WHERE change_class IS NOT NULL"
        " ORDER BY damage, rau_change"
    )
    return read_frame(connection, query)


def longest_followed(connection: Connection) -> str | None:
    """Return the patient with the most visits that have a Rau score; None if there is none."""
    found: str | None = connection.scalar(sa.text(_LONGEST_SERIES))
    return found


def of_patient(connection: Connection, patient_id: str) -> dict[str, pd.DataFrame]:
    """Return scores, disease activity and forecasts of one patient, by date."""
    return {name: read_frame(connection, query, patient_id=patient_id) for name, query in _OF_PATIENT.items()}
