"""Computes checksums of the data tables, which show whether anything changed."""

from psycopg2 import sql  # type: ignore[import-untyped]
from sqlalchemy.engine import Engine

from scoring.warehouse.engine import driver_connection, transaction

DATA_TABLES = (
    "registry.radiograph",
    "registry.consultation",
    "registry.joint_reading",
    "registry.disease_activity",
    "registry.landing_file",
    "registry.correction",
    "imaging.joint_image",
    "scoring.joint_prediction",
    "scoring.rau_prediction",
    "scoring.quarantine",
    "analytics.correlation",
    "analytics.association",
    "analytics.model_comparison",
    "analytics.rau_forecast",
)
_CHECKSUM = (
    "SELECT count(*), md5(coalesce(string_agg(hashed.line, '' ORDER BY hashed.line), ''))"
    " FROM (SELECT md5(CAST(t.* AS text)) AS line FROM {table} AS t) AS hashed"
)


def checksums(engine: Engine) -> dict[str, tuple[int, str]]:
    """Return number of rows and MD5 of every data table, whatever the order of rows; records of runs are excluded.

    Equal checksums mean that no value changed, including the audit columns.
    """
    found = {}
    with transaction(engine) as connection, driver_connection(connection).cursor() as cursor:
        for table in DATA_TABLES:
            cursor.execute(sql.SQL(_CHECKSUM).format(table=sql.Identifier(*table.split("."))))
            found[table] = cursor.fetchone()
    return found
