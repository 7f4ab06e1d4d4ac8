"""The SQL statements of `sql/statements`."""

import re
from functools import cache

import sqlalchemy as sa

from scoring.settings import sql_dir

# SQLAlchemy would read a colon in a comment as a parameter.
_COMMENT_LINE = re.compile(r"^\s*--.*$", re.MULTILINE)


@cache
def statement(name: str) -> sa.TextClause:
    """Return the statement of `sql/statements/<name>.sql`; the header of the file lists its parameters."""
    path = sql_dir() / "statements" / f"{name}.sql"
    return sa.text(_COMMENT_LINE.sub("", path.read_text(encoding="utf-8")))
