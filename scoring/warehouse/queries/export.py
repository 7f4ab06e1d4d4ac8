"""Reads the warehouse for exports, row by row, so that memory does not grow with the warehouse."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, TypedDict

import sqlalchemy as sa
from psycopg2 import sql  # type: ignore[import-untyped]
from sqlalchemy.engine import Connection

from scoring.warehouse.engine import driver_connection
from scoring.warehouse.queries import models
from scoring.warehouse.statements import statement

BATCH_ROWS = 20_000
"""Maximum number of rows in memory."""

Row = tuple[Any, ...]

_MOMENT = (
    "SELECT transaction_timestamp(), (SELECT max(batch_date) FROM analyst.run_reconciliation"
    " WHERE job = 'nightly_scoring' AND status = 'succeeded')"
)
_PATIENTS = "SELECT patient_id FROM analyst.rau_by_visit UNION SELECT patient_id FROM analyst.disease_activity_by_visit"
_JOINTS = (
    "SELECT patient_id, visit_date, sop_iuid, joint, predicted_percent, predicted_q05, predicted_q95, predicted_grade,"
    " image_sha256, model_version, trained_on_synthetic, scored_at FROM analyst.current_joint_prediction"
)
_ACTIVITY = (
    "SELECT patient_id, visit_date, das28_esr4, das28_esr4_origin, das28_esr3, das28_crp4, das28_crp3,"
    " das28_crp3_origin FROM analyst.disease_activity_by_visit"
)


class Moment(TypedDict):
    """The state that an export shows. `champion` has no name of a person, because exports leave the institution."""

    read_at: datetime
    newest_batch: date | None
    champion: dict[str, Any] | None


def stream(connection: Connection, query: str | sql.Composable) -> Iterator[list[Row]]:
    """Yield the rows of a query through a server-side cursor, in lists of at most `BATCH_ROWS`."""
    with driver_connection(connection).cursor(name="export") as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(BATCH_ROWS):
            yield rows


def moment(connection: Connection) -> Moment:
    """Return the time of the snapshot, the newest batch in it, and its champion."""
    read_at, newest_batch = connection.execute(sa.text(_MOMENT)).one()
    champion = models.champion(connection)
    shown = ("model_version", "trained_on_synthetic", "activated_at", "weights_sha256")
    public = {name: value for name, value in champion.items() if name in shown} if champion else None
    return Moment(read_at=read_at, newest_batch=newest_batch, champion=public)


def patients(connection: Connection) -> list[str]:
    """Return the pseudonyms of all patients with a prediction or a measure of disease activity, sorted."""
    # Sorted here, because the collation of a site may differ.
    return sorted(connection.scalars(sa.text(_PATIENTS)))


def joint_predictions(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield the champion's predictions, one per joint and radiograph; columns of `analyst.current_joint_prediction`."""
    return _records(connection, _JOINTS)


def rau_predictions(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield the champion's Rau scores, one per visit: columns of `analyst.rau_by_visit`, and `sop_iuids`."""
    return _records(connection, statement("exported_rau_predictions").text)


def disease_activity(connection: Connection) -> Iterator[dict[str, Any]]:
    """Yield the four forms of DAS28 and their origin, per visit: columns of `analyst.disease_activity_by_visit`."""
    return _records(connection, _ACTIVITY)


def _records(connection: Connection, query: str) -> Iterator[dict[str, Any]]:
    with driver_connection(connection).cursor(name="export") as cursor:
        cursor.itersize = BATCH_ROWS
        cursor.execute(query)
        for row in cursor:
            yield {column.name: value for column, value in zip(cursor.description, row, strict=True)}
