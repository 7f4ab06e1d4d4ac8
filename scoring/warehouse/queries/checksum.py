"""Checksums of the data tables, which show whether anything changed."""

from psycopg2 import sql  # type: ignore[import-untyped]
from sqlalchemy.engine import Connection, Engine

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


def checksums(engine: Engine) -> dict[str, tuple[int, str]]:
    """Rows and MD5 of every data table, whatever the order of the rows; the append-only records of runs are left out.

    Two equal digests mean that not a single value changed in between, audit columns included.
    """
    with transaction(engine) as connection:
        return {table: _checksum_of(connection, table) for table in DATA_TABLES}


def _checksum_of(connection: Connection, table: str) -> tuple[int, str]:
    query = sql.SQL(
        "SELECT count(*), md5(coalesce(string_agg(hashed.line, '' ORDER BY hashed.line), ''))"
        " FROM (SELECT md5(CAST(t.* AS text)) AS line FROM {table} AS t) AS hashed"
    ).format(table=sql.Identifier(*table.split(".")))
    with driver_connection(connection).cursor() as cursor:
        cursor.execute(query)
        rows, md5 = cursor.fetchone()
    return rows, md5
