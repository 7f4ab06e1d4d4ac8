"""What the page of analytics shows, read as an analyst would: from the views of schema analyst alone."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from scoring.warehouse.engine import transaction

# A visit's damage and activity of the same day; no identifier goes with it.
_RAU_AND_DAS28 = """
SELECT form.activity, form.das28, series.damage, series.rau
FROM analyst.rau_by_visit AS score
INNER JOIN analyst.disease_activity_by_visit AS visit USING (patient_id, visit_date)
CROSS JOIN LATERAL (VALUES ('reported_rau', score.reported_rau), ('predicted_rau', score.rau_expected))
    AS series (damage, rau)
CROSS JOIN LATERAL (
    VALUES ('das28_esr4', visit.das28_esr4), ('das28_esr3', visit.das28_esr3),
        ('das28_crp4', visit.das28_crp4), ('das28_crp3', visit.das28_crp3)
) AS form (activity, das28)
WHERE series.rau IS NOT NULL AND form.das28 IS NOT NULL
"""

_CORRELATION = "SELECT * FROM analyst.correlation WHERE is_champion AND method = 'spearman' ORDER BY as_of"

# There is no course where the two radiographs differ in the number of scored joints.
_CHANGES = """
SELECT damage, rau_change AS change
FROM analyst.rau_progression
WHERE course IS NOT NULL
ORDER BY damage, rau_change
"""

_LONGEST_SERIES = """
SELECT patient_id FROM analyst.rau_by_visit
WHERE rau_expected IS NOT NULL OR reported_rau IS NOT NULL
GROUP BY patient_id ORDER BY count(*) DESC, patient_id LIMIT 1
"""

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


def rau_and_das28(engine: Engine) -> pd.DataFrame:
    """Rau score and disease activity of the same visit: activity (form of DAS28), das28, damage, rau."""
    return _read(engine, _RAU_AND_DAS28)


def correlation_over_time(engine: Engine) -> pd.DataFrame:
    """Spearman's correlations of the champion for every date; columns as in `analyst.correlation`."""
    return _read(engine, _CORRELATION)


def changes_between_radiographs(engine: Engine) -> pd.DataFrame:
    """Change of the Rau score between consecutive scored visits of a patient: damage, change (points), ascending."""
    return _read(engine, _CHANGES)


def longest_followed(engine: Engine) -> str | None:
    """The patient with the most visits that have a Rau score; None if nobody has one."""
    found = _read(engine, _LONGEST_SERIES)["patient_id"]
    return None if found.empty else str(found.iloc[0])


def of_patient(engine: Engine, patient_id: str) -> dict[str, pd.DataFrame]:
    """One patient's scores, disease activity and forecasts, by date."""
    return {name: _read(engine, query, {"patient_id": patient_id}) for name, query in _OF_PATIENT.items()}


def champion(engine: Engine) -> dict[str, Any]:
    """The champion as `analyst.champion` shows it; empty before the first."""
    found = _read(engine, "SELECT model_version, trained_on_synthetic FROM analyst.champion").to_dict("records")
    return {str(name): value for name, value in found[0].items()} if found else {}


def _read(engine: Engine, query: str, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
    with transaction(engine) as connection:
        return pd.read_sql_query(sa.text(query), connection, params=dict(params or {}))
