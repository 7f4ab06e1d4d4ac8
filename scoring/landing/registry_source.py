"""Reads the tables of a registry that is a database, with the queries in `sql/extract/`, which a site adapts."""

import re
from collections.abc import Iterable
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


def read_registry(settings: Settings, batch_date: date) -> dict[str, pd.DataFrame]:
    """Read the tables of a batch from the registry's database; none if the settings say that they are files.

    The window includes the look-back, so that late readings, laboratory values and corrections are read. Records that
    did not change are recognised later. All queries run in one transaction, which is never committed.

    Returns:
        Text frames as from `readers.read_table`, by dataset. Rows are numbered from 2, as in a CSV export.

    Raises:
        InvalidRequest: SCORING_REGISTRY_SQL_URL is missing.
        LandingNotReady: The database cannot be reached.
        BadInput: A query fails or lacks a required column.
    """
    if settings.registry_source == "files":
        return {}
    if settings.registry_sql_url is None:
        raise InvalidRequest("SCORING_REGISTRY_SOURCE is sql, but SCORING_REGISTRY_SQL_URL is missing. Set it.")
    # Not every driver converts a Python date without the type.
    window = (
        sa.bindparam("window_start", batch_date - timedelta(days=settings.lookback_days), sa.Date),
        sa.bindparam("window_end", batch_date + timedelta(days=1), sa.Date),
    )
    try:
        connection = sa.create_engine(settings.registry_sql_url.get_secret_value(), poolclass=sa.NullPool).connect()
    except DBAPIError as error:
        raise _unreachable(error) from error
    with connection:
        return {dataset: _run(connection, sql_dir() / "extract" / f"{dataset}.sql", window) for dataset in DATASETS}


def _run(connection: sa.Connection, query: Path, window: Iterable[sa.BindParameter[date]]) -> pd.DataFrame:
    # SQLAlchemy would parse a colon in a comment as a parameter.
    statement = sa.text(_COMMENT_LINE.sub("", query.read_text(encoding="utf-8")))
    try:
        result = connection.execute(statement.bindparams(*window))
        rows = [(number, [as_text(value) for value in row]) for number, row in enumerate(result, start=2)]
    except DataError:
        # The driver's message quotes the value.
        raise BadInput(
            f"The query {query.name} converts a value to a type that it does not fit. Remove type conversions from the "
            "query: dates, numbers and identifiers may be text."
        ) from None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unreachable(error) from error
        raise BadInput(f"The query {query.name} failed in the registry: {_first_line(error)}. Adapt it.") from None
    except ArgumentError as error:
        raise BadInput(f"The query {query.name} must use :window_start and :window_end. Adapt it.") from error
    return text_frame(TextTable(list(result.keys()), rows), dataset=query.stem, source_file=f"sql:{query.stem}")


def _unreachable(error: DBAPIError) -> LandingNotReady:
    return LandingNotReady(
        "The database of the registry cannot be reached or closed the connection. Check SCORING_REGISTRY_SQL_URL and "
        f"the server. Message of the driver: {_first_line(error)}"
    )


def _first_line(error: DBAPIError) -> str:
    """Return the message of the driver, without the statement and parameters that SQLAlchemy adds."""
    return str(error.orig).partition("\n")[0]
