"""Read the warehouse for others: all of it as of one moment, row by row, so that memory stays flat."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, TypedDict

import sqlalchemy as sa
from psycopg2 import sql  # type: ignore[import-untyped]
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import driver_connection, transaction

BATCH_ROWS = 20_000
"""Rows that are held at once."""

Row = tuple[Any, ...]


class Champion(TypedDict):
    """The model whose predictions the views show."""

    model_version: str
    trained_on_synthetic: bool
    activated_at: datetime
    weights_sha256: str


class Moment(TypedDict):
    """The moment that an export shows."""

    read_at: datetime
    newest_batch: date | None
    champion: Champion | None


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction that sees one moment of the warehouse, however long it reads.

    Raises:
        WarehouseUnavailable: The server could not be reached or went away.
    """
    repeatable = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with transaction(repeatable) as connection:
        # A cursor is planned for its first rows unless told that all of them will be read.
        connection.execute(sa.text("SET LOCAL cursor_tuple_fraction = 1"))
        yield connection


def stream(connection: Connection, query: str | sql.Composable) -> Iterator[list[Row]]:
    """The rows of a query by a cursor of the server, in batches of at most `BATCH_ROWS`; none if there are none."""
    with driver_connection(connection).cursor(name="extract") as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(BATCH_ROWS):
            yield rows


def moment(connection: Connection) -> Moment:
    """When the snapshot was taken, the newest night that it holds, and the champion of that moment."""
    row = connection.execute(sa.text(_MOMENT)).one()
    model = connection.execute(
        sa.text("SELECT model_version, trained_on_synthetic, activated_at, weights_sha256 FROM analyst.champion")
    ).mappings()
    champion = model.one_or_none()
    return Moment(
        read_at=row.read_at,
        newest_batch=row.newest_batch,
        champion=None if champion is None else Champion(**champion),  # type: ignore[typeddict-item]
    )


def patients(connection: Connection) -> list[str]:
    """Pseudonyms of all patients who have a prediction or a measure of disease activity, in their order."""
    # Sorted here, because a site's collation may order otherwise.
    return sorted(connection.scalars(sa.text(_PATIENTS)))


def joint_predictions(connection: Connection) -> Iterator[dict[str, Any]]:
    """The champion's predictions, one a joint and radiograph: the columns of `analyst.current_joint_prediction`."""
    return _records(connection, _JOINTS)


def rau_predictions(connection: Connection) -> Iterator[dict[str, Any]]:
    """The champion's Rau scores, one a visit: columns of `analyst.rau_by_visit` and `sop_iuids`, the radiographs behind."""
    return _records(connection, _RAU)


def disease_activity(connection: Connection) -> Iterator[dict[str, Any]]:
    """The four forms of DAS28 and their origin, one row a visit: columns of `analyst.disease_activity_by_visit`."""
    return _records(connection, _ACTIVITY)


def _records(connection: Connection, query: str) -> Iterator[dict[str, Any]]:
    with driver_connection(connection).cursor(name="extract") as cursor:
        cursor.itersize = BATCH_ROWS
        cursor.execute(query)
        for row in cursor:
            yield {column.name: value for column, value in zip(cursor.description, row, strict=True)}


_MOMENT = """
SELECT
    transaction_timestamp() AS read_at,
    (SELECT max(batch_date) FROM analyst.run_reconciliation WHERE job = 'nightly_scoring' AND status = 'succeeded') AS newest_batch
"""

_PATIENTS = """
SELECT patient_id FROM analyst.rau_by_visit
UNION
SELECT patient_id FROM analyst.disease_activity_by_visit
"""

_JOINTS = """
SELECT
    patient_id, visit_date, sop_iuid, joint, predicted_percent, predicted_q05, predicted_q95, predicted_grade, image_sha256,
    model_version, trained_on_synthetic, scored_at
FROM analyst.current_joint_prediction
"""

_RAU = """
SELECT
    rau.patient_id, rau.visit_date, rau.rau_expected, rau.rau_q05, rau.rau_q95, rau.n_scored, rau.extrapolated,
    rau.model_version, rau.trained_on_synthetic, rau.scored_at, radiograph.sop_iuids
FROM analyst.rau_by_visit AS rau
INNER JOIN (
    SELECT patient_id, visit_date, array_agg(sop_iuid ORDER BY sop_iuid) AS sop_iuids
    FROM analyst.rau_by_radiograph
    GROUP BY patient_id, visit_date
) AS radiograph
    ON radiograph.patient_id = rau.patient_id AND radiograph.visit_date = rau.visit_date
WHERE rau.rau_expected IS NOT NULL
"""

_ACTIVITY = """
SELECT patient_id, visit_date, das28_esr4, das28_esr4_origin, das28_esr3, das28_crp4, das28_crp3, das28_crp3_origin
FROM analyst.disease_activity_by_visit
"""
