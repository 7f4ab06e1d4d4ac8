"""Connections to the warehouse, and what a lost one means."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import sqlalchemy as sa
from psycopg2 import errorcodes
from sqlalchemy.engine import URL, Connection, Engine, make_url

from scoring.errors import BadInput, InvalidRequest, WarehouseUnavailable

CONNECT_TIMEOUT_S = 10

# SQLSTATEs after which the same work may succeed: connection exceptions, intervention and system errors, lack
# of memory or connections, rolled back for another transaction, lock not available.
_TRY_AGAIN = ("08", "57", "58", "53", "40", "55P03")


def connect_engine(url: str, role: str | None = None) -> Engine:
    """An engine for the warehouse. Nothing is connected yet.

    Times are UTC in every session, so that what is read does not depend on where the job runs.

    Args:
        url: `postgresql://user@host/database`; a password, if there must be one, better stands in `~/.pgpass`.
        role: A role to act as, such as `scoring_job`, where the login is a member of it.

    Raises:
        InvalidRequest: The URL is not one of PostgreSQL.
    """
    options = "-c timezone=UTC" + (f" -c role={role}" if role else "")
    return sa.create_engine(
        postgres_url(url),
        pool_pre_ping=True,
        # An error would repeat the values of patients into the log.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "scoring",
            "options": options,
            # A job that waits for hours on a dead peer is worse than one that fails and is tried again.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
    )


def postgres_url(url: str) -> URL:
    """The URL with the driver that this package uses; hospitals write `postgres://` and `postgresql://` alike."""
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        # The URL itself may hold a password, so it is not repeated.
        raise InvalidRequest(
            "The warehouse URL cannot be read: write it as postgresql://user@host:5432/database."
        ) from None
    if parsed.drivername.partition("+")[0] not in {"postgres", "postgresql"}:
        raise InvalidRequest(
            f"The warehouse URL begins with {parsed.drivername}://: the warehouse is a PostgreSQL (postgresql://...)."
        )
    return parsed.set(drivername="postgresql+psycopg2")


def place(engine: Engine) -> str:
    """Which database of which host, for messages; never user or password."""
    host = engine.url.host or engine.url.query.get("host") or "the local socket"
    port = f":{engine.url.port}" if engine.url.port else ""
    return f"database {engine.url.database} at {host}{port}"


@contextmanager
def unavailable_if_lost(engine: Engine) -> Iterator[None]:
    """Turn a connection that is refused, lost or kept waiting into `WarehouseUnavailable`; let faults in SQL through.

    Raises:
        WarehouseUnavailable: Try again later; PostgreSQL has rolled back what was not committed.
        BadInput: Trying again cannot help, such as a text that is too long for an index.
    """
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError) as lost:
        cause = lost.orig if isinstance(lost, sa.exc.DBAPIError) else lost
        if not may_pass(cause):
            raise refusal(cause) from None
        said = str(cause).strip().partition("\n")[0] or type(cause).__name__
        raise WarehouseUnavailable(
            f"The warehouse ({place(engine)}) is unavailable: {said}. Nothing was written by this step; "
            "check that the server runs and can be reached, then try again."
        ) from lost


def may_pass(cause: Any) -> bool:
    """Whether the same work may succeed later; a driver's error without SQLSTATE is about the connection itself."""
    state = getattr(cause, "pgcode", None)
    return state is None or state.startswith(_TRY_AGAIN)


def refusal(cause: Any, table: str = "") -> BadInput:
    """What PostgreSQL refused to write, by SQLSTATE, table and constraint; its own words may hold values of patients.

    Args:
        cause: The driver's error.
        table: The table that was written, where the error may not name it.
    """
    said = cause.diag
    where = table or ".".join(filter(None, (said.schema_name, said.table_name))) or "a table that it does not name"
    names = (("constraint", said.constraint_name), ("column", said.column_name))
    what = ", ".join(f"{kind} {name}" for kind, name in names if name)
    return BadInput(
        f"PostgreSQL refused rows for {where}: {_condition(cause.pgcode)}{', ' + what if what else ''}. "
        "Validation should have set them apart; nothing was written."
    )


def _condition(state: str) -> str:
    try:
        return f"{errorcodes.lookup(state).lower()} ({state})"
    except KeyError:
        return str(state)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: all of it is committed, or none.

    Raises:
        WarehouseUnavailable: The server could not be reached, went away, or did not grant a lock in time.
    """
    with unavailable_if_lost(engine), engine.begin() as connection:
        yield connection


def driver_connection(connection: Connection) -> Any:
    """The driver's own connection below SQLAlchemy's, in the same transaction: for COPY and whole scripts."""
    return connection.connection.driver_connection
