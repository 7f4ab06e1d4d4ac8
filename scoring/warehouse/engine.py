"""Connections to the warehouse, and messages for the operator about their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import sqlalchemy as sa
from psycopg2 import errorcodes
from sqlalchemy.engine import URL, Connection, Engine, make_url

from scoring.errors import BadInput, InvalidRequest, WarehouseUnavailable

CONNECT_TIMEOUT_S = 10

_CONNECTION_ERRORS = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)

# SQLSTATE classes and codes after which the same work may succeed: connection exceptions, operator intervention, system
# errors, insufficient resources, transaction rollback, lock not available.
_TRANSIENT = ("08", "57", "58", "53", "40", "55P03")


def connect_engine(url: str) -> Engine:
    """Return an engine for the warehouse, without connecting yet.

    Every session uses UTC, so that times do not depend on where the job runs.

    Args:
        url: `postgresql://user@host/database`. A password belongs in `~/.pgpass` rather than in the URL.

    Raises:
        InvalidRequest: The URL is not a PostgreSQL URL.
    """
    return sa.create_engine(
        postgres_url(url),
        pool_pre_ping=True,
        # An error message would contain the values of patients.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "scoring",
            "options": "-c timezone=UTC",
            # A job that fails can be retried; one that waits for hours on a dead peer cannot.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
    )


def postgres_url(url: str) -> URL:
    """Return the URL with the driver of this package; `postgres://` and `postgresql://` are both accepted."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        # The URL may contain a password, so it is not repeated.
        raise InvalidRequest(
            "The warehouse URL is invalid. Write it as postgresql://user@host:5432/database."
        ) from None
    if parsed.drivername.partition("+")[0] not in {"postgres", "postgresql"}:
        raise InvalidRequest(
            f"The warehouse URL begins with {parsed.drivername}://, but the warehouse needs PostgreSQL. Write it as "
            "postgresql://user@host:5432/database."
        )
    return parsed.set(drivername="postgresql+psycopg2")


def location(engine: Engine) -> str:
    """Return database and host for messages, without user and password."""
    host = engine.url.host or engine.url.query.get("host") or "the local socket"
    port = f":{engine.url.port}" if engine.url.port else ""
    return f"database {engine.url.database} at {host}{port}"


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction, which is committed as a whole or not at all.

    Raises:
        WarehouseUnavailable: The server cannot be reached, closed the connection or did not grant a lock in time.
        BadInput: PostgreSQL rejected a value, such as a text that is too long for an index.
    """
    with translated_errors(engine), engine.begin() as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open a read-only transaction that sees one state of the warehouse, however long it reads.

    Raises:
        WarehouseUnavailable: The server cannot be reached or closed the connection.
    """
    repeatable = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with transaction(repeatable) as connection:
        # By default, PostgreSQL plans a cursor for its first rows; here all rows are read.
        connection.execute(sa.text("SET LOCAL cursor_tuple_fraction = 1"))
        yield connection


@contextmanager
def translated_errors(engine: Engine) -> Iterator[None]:
    """Translate errors of the connection; errors in SQL propagate unchanged.

    Raises:
        WarehouseUnavailable: The same work may succeed later; uncommitted changes were rolled back.
        BadInput: The same work cannot succeed.
    """
    try:
        yield
    except _CONNECTION_ERRORS as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if not is_transient(cause):
            raise rejected_rows(cause) from None
        message = str(cause).strip().partition("\n")[0] or type(cause).__name__
        raise WarehouseUnavailable(
            f"The warehouse ({location(engine)}) is unavailable: {message}. Nothing was written by this step. Check "
            "that the server runs and can be reached, then try again."
        ) from error


def is_transient(cause: Any) -> bool:
    """Return whether the same work may succeed later. An error without SQLSTATE concerns the connection itself."""
    state = getattr(cause, "pgcode", None)
    return state is None or state.startswith(_TRANSIENT)


def rejected_rows(cause: Any, table: str = "") -> BadInput:
    """Return an error with SQLSTATE, table and constraint; PostgreSQL's own message may contain values of patients.

    Args:
        cause: The driver's error.
        table: The written table, for errors that do not name it.
    """
    found = cause.diag
    where = table or ".".join(filter(None, (found.schema_name, found.table_name))) or "an unnamed table"
    names = (("constraint", found.constraint_name), ("column", found.column_name))
    details = [_condition(cause.pgcode), *(f"{kind} {name}" for kind, name in names if name)]
    return BadInput(
        f"PostgreSQL rejected rows for {where}: {', '.join(details)}. Nothing was written. Validation should have "
        "quarantined these rows: report the missing rule."
    )


def _condition(state: str) -> str:
    try:
        return f"{errorcodes.lookup(state).lower()} ({state})"
    except KeyError:
        return str(state)


def driver_connection(connection: Connection) -> Any:
    """Return the driver's connection below SQLAlchemy's, in the same transaction: for COPY and whole scripts."""
    return connection.connection.driver_connection
