"""Reads the tables of the registry by SQL if it is a database. A site adapts the queries in `sql/extract/`."""

import re
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError

from scoring.contract import DATASETS
from scoring.errors import BadInput, InvalidRequest, LandingNotReady
from scoring.landing.readers import TextTable, as_text, text_frame
from scoring.settings import Settings, sql_dir

_COMMENT_LINE = re.compile(r"^\s*--.*$", re.MULTILINE)


def read_configured_registry(settings: Settings, batch_date: date) -> dict[str, pd.DataFrame] | None:
    """Read the tables of a batch from the registry's database; None if the settings say that they are files.

    The window includes the look-back, so that late readings, laboratory values and corrections are read. Records that
    did not change are recognised later.

    Raises:
        InvalidRequest: SCORING_REGISTRY_SQL_URL is missing.
        LandingNotReady: The database cannot be reached.
        BadInput: A query fails or lacks a required column.
    """
    if settings.registry_source == "files":
        return None
    if settings.registry_sql_url is None:
        raise InvalidRequest("SCORING_REGISTRY_SOURCE=sql needs SCORING_REGISTRY_SQL_URL. Set it.")
    return read_registry(
        settings.registry_sql_url.get_secret_value(),
        window_start=batch_date - timedelta(days=settings.lookback_days),
        window_end=batch_date + timedelta(days=1),
    )


def read_registry(
    url: str, *, window_start: date, window_end: date, queries: Path | None = None
) -> dict[str, pd.DataFrame]:
    """Run the queries on one connection, in one transaction that is never committed.

    Args:
        url: SQLAlchemy URL of the registry's database.
        window_start: First date of the window.
        window_end: Day after the last date of the window.
        queries: Folder with `consultations.sql` and `disease_activity.sql`, with the parameters `:window_start` and
            `:window_end`; default `sql/extract`.

    Returns:
        Text frames as from `readers.read_table`, by dataset. Rows are numbered from 2, as in a CSV export.

    Raises:
        LandingNotReady: The database cannot be reached.
        BadInput: A query fails or lacks a required column.
    """
    queries = queries or sql_dir() / "extract"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        connection = engine.connect()
    except DBAPIError as error:
        raise _unreachable(error) from error
    with connection:
        return {dataset: _run(connection, queries / f"{dataset}.sql", window_start, window_end) for dataset in DATASETS}


def _run(connection: sa.Connection, query: Path, window_start: date, window_end: date) -> pd.DataFrame:
    # SQLAlchemy would parse a colon in a comment as a parameter.
    statement = sa.text(_COMMENT_LINE.sub("", query.read_text(encoding="utf-8")))
    try:
        # Not every driver converts a Python date without the type.
        statement = statement.bindparams(
            sa.bindparam("window_start", window_start, sa.Date), sa.bindparam("window_end", window_end, sa.Date)
        )
        result = connection.execute(statement)
        rows = [(number, [as_text(value) for value in row]) for number, row in enumerate(result, start=2)]
    except DataError:
        # The driver's message quotes the value.
        raise BadInput(
            f"{query.name} cannot convert a value to the type in the query. Remove conversions from the query: dates, "
            "numbers and identifiers may be text."
        ) from None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unreachable(error) from error
        raise BadInput(f"{query.name} does not fit the registry: {_first_line(error)}. Adapt the query.") from None
    except ArgumentError as error:
        raise BadInput(f"{query.name} must use :window_start and :window_end. Adapt the query.") from error
    return text_frame(TextTable(list(result.keys()), rows), dataset=query.stem, source_file=f"sql:{query.stem}")


def _unreachable(error: DBAPIError) -> LandingNotReady:
    return LandingNotReady(
        "The database of the registry cannot be reached or closed the connection. Check SCORING_REGISTRY_SQL_URL and "
        f"the server. Message of the driver: {_first_line(error)}"
    )


def _first_line(error: DBAPIError) -> str:
    """Return the driver's message without the statement and parameters that SQLAlchemy adds."""
    return str(error.orig).partition("\n")[0]
