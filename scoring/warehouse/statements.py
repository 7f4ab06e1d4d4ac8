"""Runs statements: those of `sql/statements`, short queries that return a frame, and inserts of single rows."""

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from scoring.settings import sql_dir

if TYPE_CHECKING:
    import pandas as pd

# SQLAlchemy would read a colon in a comment as a parameter.
_COMMENT_LINE = re.compile(r"^\s*--.*$", re.MULTILINE)


@cache
def statement(name: str) -> sa.TextClause:
    """Return the statement of `sql/statements/<name>.sql`; the header of the file lists its parameters."""
    path = sql_dir() / "statements" / f"{name}.sql"
    return sa.text(_COMMENT_LINE.sub("", path.read_text(encoding="utf-8")))


def read_frame(connection: Connection, query: str | sa.TextClause, dtype: Any = None, **params: Any) -> "pd.DataFrame":
    """Return the rows of a query; `dtype` has the types of columns, as in `pandas.read_sql_query`."""
    import pandas as pd

    clause = sa.text(query) if isinstance(query, str) else query
    return pd.read_sql_query(clause, connection, params=params, dtype=dtype)


def insert(connection: Connection, table: str, row: Mapping[str, Any], *, keep_existing: bool = False) -> bool:
    """Insert one row into `schema.table`.

    Returns:
        False if `keep_existing` is set and the table has a row with the same key; it is not changed.
    """
    schema, name = table.split(".")
    query = postgresql.insert(sa.table(name, *map(sa.column, row), schema=schema)).values(dict(row))
    return connection.execute(query.on_conflict_do_nothing() if keep_existing else query).rowcount == 1
