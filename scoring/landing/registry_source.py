"""The two datasets by SQL, for a registry that is a database. The queries of `sql/extract/` are a site's to adapt."""

import re
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError

from scoring.contract import DATASETS
from scoring.errors import BadInput, InvalidRequest, LandingNotReady
from scoring.landing.readers import as_text, text_frame
from scoring.settings import Settings, sql_dir

_COMMENT_LINE = re.compile(r"^\s*--.*$", re.MULTILINE)


def read_configured_registry(settings: Settings, batch_date: date) -> dict[str, pd.DataFrame] | None:
    """Read both datasets of a batch from the registry's database; None if the settings say that they are files.

    The window includes the look-back, so corrections and late readings are seen; known records are found unchanged.

    Raises:
        InvalidRequest: SCORING_REGISTRY_SQL_URL is missing.
    """
    if settings.registry_source == "files":
        return None
    if settings.registry_sql_url is None:
        raise InvalidRequest("SCORING_REGISTRY_SOURCE=sql needs SCORING_REGISTRY_SQL_URL.")
    return read_registry(
        settings.registry_sql_url.get_secret_value(),
        window_start=batch_date - timedelta(days=settings.lookback_days),
        window_end=batch_date + timedelta(days=1),
    )


def read_registry(
    url: str, *, window_start: date, window_end: date, queries: Path | None = None
) -> dict[str, pd.DataFrame]:
    """Run both queries on one connection, in one transaction that is never committed.

    Args:
        url: SQLAlchemy URL of the registry's database, of any kind.
        window_start: First date of the window: the night's own less the look-back, so that corrections, readings and
            laboratory values that came late are seen.
        window_end: The day after its last date.
        queries: Folder with `consultations.sql` and `disease_activity.sql`, which use `:window_start`, `:window_end`;
            default `sql/extract`.

    Returns:
        Text frames as of `readers.read_table`, by dataset. Row numbers count the result from 2, as in its CSV export.

    Raises:
        LandingNotReady: The database cannot be reached for now.
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
    # A comment may hold a colon, which would read as a parameter.
    statement = sa.text(_COMMENT_LINE.sub("", query.read_text(encoding="utf-8")))
    try:
        # Typed, because not every driver turns a Python date into the database's own.
        statement = statement.bindparams(
            sa.bindparam("window_start", window_start, sa.Date), sa.bindparam("window_end", window_end, sa.Date)
        )
        result = connection.execute(statement)
        rows = [(number, [as_text(value) for value in row]) for number, row in enumerate(result, start=2)]
    except DataError:
        # Its text quotes the value that does not fit.
        raise BadInput(
            f"{query.name} meets a value that does not fit the type it is turned into. Leave conversions out of the "
            "query: dates, numbers and identifiers may be text."
        ) from None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _unreachable(error) from error
        raise BadInput(f"{query.name} does not fit the registry: {_first_line(error)}. Adapt the query.") from None
    except ArgumentError as error:
        raise BadInput(f"{query.name} must use :window_start and :window_end. Adapt the query.") from error
    return text_frame(list(result.keys()), rows, dataset=query.stem, source_file=f"sql:{query.stem}")


def _unreachable(error: DBAPIError) -> LandingNotReady:
    return LandingNotReady(
        "The registry's database cannot be reached or broke off. Check SCORING_REGISTRY_SQL_URL and the server; "
        f"its driver says: {_first_line(error)}"
    )


def _first_line(error: DBAPIError) -> str:
    """What the driver says, without the statement and its parameters that SQLAlchemy adds."""
    return str(error.orig).partition("\n")[0]
