"""Visits to correlate, where the results go, and a digest that shows whether anything changed."""

from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from psycopg2 import sql  # type: ignore[import-untyped]
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.as_of import ACTIVITY, PREDICTED, REPORTED
from scoring.warehouse.bulk import UpsertCounts, upsert
from scoring.warehouse.engine import driver_connection, transaction

DATA_TABLES = (
    "registry.radiograph",
    "registry.consultation",
    "registry.joint_reading",
    "registry.disease_activity",
    "registry.landed_file",
    "registry.correction",
    "imaging.joint_image",
    "scoring.joint_prediction",
    "scoring.rau_prediction",
    "scoring.quarantine",
    "analytics.correlation",
    "analytics.association",
    "analytics.bridge",
    "analytics.rau_forecast",
)

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
        as_of: Landing folder up to which records count (`scoring.warehouse.as_of`).
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


def publish_correlation(
    connection: Connection, as_of: date, model_version: str, run_id: UUID | str, frame: pd.DataFrame
) -> UpsertCounts:
    """Write the correlations as of a date.

    Args:
        connection: Inside the caller's transaction.
        as_of: Landing folder up to which records were counted.
        model_version: The model behind `predicted_rau`.
        run_id: A run that is open.
        frame: damage, activity, method, estimate, ci_low, ci_high, confidence, n_visits, n_patients.

    Returns:
        new, updated and unchanged rows.
    """
    rows = frame.assign(
        as_of=as_of, model_version=model_version, run_id=str(run_id), computed_at=pd.Timestamp.now(tz="UTC")
    )
    return upsert(
        connection,
        "analytics.correlation",
        rows,
        key=("as_of", "model_version", "damage", "activity", "method"),
        payload=("estimate", "ci_low", "ci_high", "confidence", "n_visits", "n_patients"),
        provenance=("run_id", "computed_at"),
    )


def newest_as_of(connection: Connection, model_version: str) -> date | None:
    """The newest date for which correlations of a model were computed; None before the first."""
    found: date | None = connection.scalar(
        sa.text("SELECT max(as_of) FROM analytics.correlation WHERE model_version = :model_version"),
        {"model_version": model_version},
    )
    return found


def digest(engine: Engine) -> dict[str, tuple[int, str]]:
    """Rows and MD5 of every data table, whatever the order of the rows; the append-only records of runs are left out.

    Two equal digests mean that not a single value changed in between, audit columns included.
    """
    with transaction(engine) as connection:
        return {table: _digest_of(connection, table) for table in DATA_TABLES}


def _digest_of(connection: Connection, table: str) -> tuple[int, str]:
    query = sql.SQL(
        "SELECT count(*), md5(coalesce(string_agg(hashed.line, '' ORDER BY hashed.line), ''))"
        " FROM (SELECT md5(CAST(t.* AS text)) AS line FROM {table} AS t) AS hashed"
    ).format(table=sql.Identifier(*table.split(".")))
    with driver_connection(connection).cursor() as cursor:
        cursor.execute(query)
        rows, md5 = cursor.fetchone()
    return rows, md5
