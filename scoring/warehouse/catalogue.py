"""What the database says of itself: its schemas, tables and views, their columns, keys and comments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

SCHEMAS = ("registry", "imaging", "scoring", "analytics", "analyst")
"""In the order in which data flows."""

_NUMERIC = ("smallint", "integer", "bigint", "real", "double precision", "numeric")

# A comment names its unit in words. The first of these that it names counts: "5 % quantile, in points" is in points.
_UNITS = (
    (r"^Probability\b", "0 to 1"),
    (r"\bon the scale of (\w+)|\bin the unit of (\w+)", "as {}"),
    (r"\b(percent|points|grades) (?:a|per) (year|month)\b", "{} a {}"),
    (r"\b(points) times (years)\b", "{} times {}"),
    (r"\b(percent|points|pixels|bytes|mg/L|seconds)\b", "{}"),
    (r"\bin (grades|days|months|years|units)\b|[,;] (grades|days|months|years)[.,;]", "{}"),
    (r"\bmm in the first hour\b|\bmm/h\b", "mm/h"),
    (r"\bmm\b", "mm"),
    (r"\bwithout unit\b", "none"),
    (r"\brunning number\b", "running number"),
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
        name: Its name.
        type: PostgreSQL's name of the type, such as `double precision` or `real[]`.
        nullable: False if the table forbids null; PostgreSQL does not say it of a view's columns.
        comment: What it means, and in which unit.
        filled: `identity`, `generated`, `default ...` or empty.
    """

    name: str
    type: str
    nullable: bool
    comment: str
    filled: str

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers, or lists of them."""
        return self.type.removesuffix("[]").partition("(")[0] in _NUMERIC

    @property
    def unit(self) -> str:
        """The unit or range of its numbers, as its comment has it; empty if it says none or they are no numbers."""
        return unit_of(self.comment) if self.is_numeric else ""


@dataclass(frozen=True)
class Constraint:
    """A key or check of a table.

    Attributes:
        kind: `primary key`, `unique`, `foreign key` or `check`.
        columns: Its columns, in order.
        definition: As PostgreSQL would write it.
        references: The table that a foreign key points to, `schema.name`; empty for other kinds.
    """

    kind: str
    columns: tuple[str, ...]
    definition: str
    references: str


@dataclass(frozen=True)
class Relation:
    """A table or view.

    Attributes:
        schema: Its schema.
        name: Its name.
        kind: `table`, `view` or `materialized view`.
        comment: What its rows are.
        columns: In their order.
        constraints: Keys and checks; empty for a view.
    """

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
    """The unit, or else the range, that a comment names; empty if it names none.

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
    """What each of the warehouse's schemas holds, in the order of `SCHEMAS`."""
    rows = connection.execute(
        sa.text(
            "SELECT n.nspname, coalesce(obj_description(n.oid, 'pg_namespace'), '') AS comment"
            " FROM pg_catalog.pg_namespace AS n WHERE n.nspname = ANY(:schemas)"
        ),
        {"schemas": list(SCHEMAS)},
    )
    found = {row.nspname: row.comment for row in rows}
    return {schema: found[schema] for schema in SCHEMAS if schema in found}


def relations(connection: Connection, schemas: Sequence[str] = SCHEMAS) -> list[Relation]:
    """Every table and view of these schemas, by the order of the schemas and by name; partitions are not listed."""
    columns: dict[tuple[str, str], list[Column]] = {}
    for row in connection.execute(sa.text(_COLUMNS), {"schemas": list(schemas)}):
        columns.setdefault((row.schema, row.relation), []).append(
            Column(row.name, row.type, row.nullable, row.comment, row.filled)
        )
    constraints: dict[tuple[str, str], list[Constraint]] = {}
    for row in connection.execute(sa.text(_CONSTRAINTS), {"schemas": list(schemas)}):
        constraints.setdefault((row.schema, row.relation), []).append(
            Constraint(row.kind, tuple(row.columns), row.definition, row.references)
        )
    found = [
        Relation(
            row.schema,
            row.name,
            row.kind,
            row.comment,
            tuple(columns.get((row.schema, row.name), ())),
            tuple(constraints.get((row.schema, row.name), ())),
        )
        for row in connection.execute(sa.text(_RELATIONS), {"schemas": list(schemas)})
    ]
    return sorted(found, key=lambda relation: (list(schemas).index(relation.schema), relation.name))


_RELATIONS = """
SELECT
    n.nspname AS schema,
    c.relname AS name,
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END AS kind,
    coalesce(obj_description(c.oid, 'pg_class'), '') AS comment
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
"""

_COLUMNS = """
SELECT
    n.nspname AS schema,
    c.relname AS relation,
    a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type,
    NOT a.attnotnull AS nullable,
    coalesce(col_description(c.oid, a.attnum), '') AS comment,
    CASE
        WHEN a.attidentity <> '' THEN 'identity'
        WHEN a.attgenerated <> '' THEN 'generated'
        WHEN a.atthasdef THEN 'default ' || pg_get_expr(d.adbin, d.adrelid)
        ELSE ''
    END AS filled
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
ORDER BY n.nspname, c.relname, a.attnum
"""

# PostgreSQL 18 lists NOT NULL as constraints too, earlier ones do not; it stands with the columns.
_CONSTRAINTS = """
SELECT
    n.nspname AS schema,
    c.relname AS relation,
    CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key' ELSE 'check' END
    AS kind,
    ARRAY(
        SELECT CAST(a.attname AS text)
        FROM unnest(k.conkey) WITH ORDINALITY AS part (attnum, place)
        INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = part.attnum
        ORDER BY part.place
    ) AS columns,
    pg_get_constraintdef(k.oid) AS definition,
    coalesce(tn.nspname || '.' || t.relname, '') AS references
FROM pg_catalog.pg_constraint AS k
INNER JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = k.confrelid
LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE n.nspname = ANY(:schemas) AND NOT c.relispartition AND k.contype IN ('p', 'u', 'f', 'c')
    -- A foreign key to a partitioned table has a hidden twin for each partition.
    AND k.conparentid = 0
ORDER BY n.nspname, c.relname, position(k.contype IN 'pufc'), k.conname
"""
