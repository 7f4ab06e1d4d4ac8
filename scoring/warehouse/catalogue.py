"""Reads the catalogue of the database: schemas, tables and views, with their columns, keys and comments."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.statements import statement

SCHEMAS = ("registry", "imaging", "scoring", "analytics", "analyst")
"""In the order of the data flow."""

_NUMERIC = ("smallint", "integer", "bigint", "real", "double precision", "numeric")

# How comments name units. The first pattern that matches applies: "5 % quantile, in points" is in points.
_UNITS = (
    (r"^Probability\b", "0 to 1"),
    (r"\bon the scale of (\w+)|\bin the unit of (\w+)", "as {}"),
    (r"\b(percent|points|grades) per (year|month)\b", "{} per {}"),
    (r"\b(points) times (years)\b", "{} times {}"),
    (r"\b(percent|points|pixels|bytes|mg/L|seconds)\b", "{}"),
    (r"\bin (grades|days|months|years|units)\b|[,;] (grades|days|months|years)[.,;]", "{}"),
    (r"\bmm in the first hour\b|\bmm/h\b", "mm/h"),
    (r"\bmm\b", "mm"),
    (r"\bwithout unit\b", "none"),
    (r"\bsequential number\b", "sequential number"),
    (r"\bnumber of\b|\bcount of\b|\bhow (?:often|many)\b", "count"),
    (r"\bline of (?:the|that) file\b", "line"),
    (r"\bcalendar year\b", "year"),
    (r"(?<![\w.-])(-?\d+(?:\.\d+)?)(?:-| to )(\d+(?:\.\d+)?)(?![.-]?\w)", "{} to {}"),
    (r"\bshare of\b|\bp[- ]value\b", "0 to 1"),
)


@dataclass(frozen=True)
class Column:
    """A column of a table or view.

    Attributes:
        name: Name.
        type: PostgreSQL's name of the type, such as `double precision` or `real[]`.
        nullable: False if the table forbids null; always True for a view.
        comment: Meaning and unit.
        filled: `identity`, `generated`, `default ...` or empty.
    """

    name: str
    type: str
    nullable: bool
    comment: str
    filled: str

    @property
    def is_numeric(self) -> bool:
        """True for numbers and arrays of numbers."""
        return self.type.removesuffix("[]").partition("(")[0] in _NUMERIC

    @property
    def unit(self) -> str:
        """Unit or range of the numbers according to the comment; empty if there is none."""
        return unit_of(self.comment) if self.is_numeric else ""


@dataclass(frozen=True)
class Constraint:
    """A key or check of a table: `primary key`, `unique`, `foreign key` or `check`.

    `definition` is SQL. `references` is the table that a foreign key points to, `schema.name`, otherwise empty.
    """

    kind: str
    columns: tuple[str, ...]
    definition: str
    references: str


@dataclass(frozen=True)
class Relation:
    """A `table`, `view` or `materialized view`. The constraints of a view are empty."""

    schema: str
    name: str
    kind: str
    comment: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"


def unit_of(comment: str) -> str:
    """Return the unit, or else the range, in a comment; empty if it has neither.

    >>> unit_of("Upper end of the 90 % interval, points.")
    'points'
    >>> unit_of("Correlation coefficient, -1 to 1; null if it is not defined.")
    '-1 to 1'
    """
    for pattern, unit in _UNITS:
        if found := re.search(pattern, comment, re.IGNORECASE):
            return unit.format(*filter(None, found.groups()))
    return ""


def schema_comments(connection: Connection) -> dict[str, str]:
    """Return the comment of each schema, in the order of `SCHEMAS`."""
    query = (
        "SELECT nspname, coalesce(obj_description(oid, 'pg_namespace'), '') AS comment FROM pg_catalog.pg_namespace"
        " WHERE nspname = ANY(:schemas) ORDER BY array_position(:schemas, nspname)"
    )
    rows = connection.execute(sa.text(query), {"schemas": list(SCHEMAS)})
    return {row.nspname: row.comment for row in rows}


def relations(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> list[Relation]:
    """Return every table and view of these schemas, sorted by schema and name, without partitions."""
    params = {"schemas": list(schemas)}
    columns: dict[tuple[str, str], list[Column]] = defaultdict(list)
    for row in connection.execute(statement("list_columns"), params):
        column = Column(row.column_name, row.data_type, row.nullable, row.comment_text, row.filled)
        columns[row.schema_name, row.relation_name].append(column)
    constraints: dict[tuple[str, str], list[Constraint]] = defaultdict(list)
    for row in connection.execute(statement("list_constraints"), params):
        constraint = Constraint(row.kind, tuple(row.column_names), row.definition, row.referenced_table)
        constraints[row.schema_name, row.relation_name].append(constraint)
    found = []
    for schema, name, kind, comment in connection.execute(statement("list_relations"), params):
        of_relation = tuple(columns[schema, name]), tuple(constraints[schema, name])
        found.append(Relation(schema, name, kind, comment, *of_relation))
    return sorted(found, key=lambda relation: (list(schemas).index(relation.schema), relation.name))
