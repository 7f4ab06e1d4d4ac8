"""Bulk writes: COPY into a temporary table, then one INSERT ... ON CONFLICT, with exact counts for reconciliation.

A row of an older batch never overwrites a row of a newer one, in whatever order batches are processed, and a row with
the same values is not written again.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd
import psycopg2  # type: ignore[import-untyped]
from psycopg2 import sql
from sqlalchemy.engine import Connection

from scoring.errors import BadInput
from scoring.warehouse.engine import driver_connection, is_transient, rejected_rows

_CHUNK_ROWS = 20_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

# Origin of the values of a row: written with them, but a row that differs in these columns only is unchanged.
_ORIGIN = {"batch_date", "first_batch_date", "run_id", "source_file", "row_number"}
_ORIGIN |= {"computed_at", "published_at", "quarantined_at", "scored_at"}

# Written by sql/statements/withdraw_readings.sql only.
_EXCLUDED = {"withdrawn_on"}

_COLUMNS = """
SELECT attname, conkey @> ARRAY[attnum] AS in_key, atthasdef OR attidentity <> '' AS has_default
FROM pg_catalog.pg_attribute INNER JOIN pg_catalog.pg_constraint ON conrelid = attrelid AND contype = 'p'
WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""


@dataclass(frozen=True)
class UpsertCounts:
    """Numbers of rows of an upsert by outcome; they add up to the rows of the frame."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0

    def __add__(self, other: "UpsertCounts") -> "UpsertCounts":
        return UpsertCounts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def upsert(connection: Connection, table: str, frame: pd.DataFrame, *, newer_wins: bool = False) -> UpsertCounts:
    """Insert the rows of a frame, or update the rows with the same primary key and other values.

    Until the transaction ends, the table is locked against other writers, which could make the counts wrong; readers
    are not affected.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`.
        frame: Contains every column of the table that has no default, and may contain others. Columns that are not in
            the table are ignored. NaN, NaT and None are null.
        newer_wins: The table has `batch_date` and `first_batch_date`. A row with an older batch_date is superseded and
            only lowers first_batch_date. A row with a newer batch_date and the same values counts as unchanged, but
            its batch_date is written: otherwise a batch between the two that is processed later would count as an
            update.

    Raises:
        KeyError: The frame lacks a column.
        BadInput: Two rows of the frame have the same key, a text contains a NUL character, or a value violates a
            constraint.
    """
    if frame.empty:
        return UpsertCounts()
    with _cursor(connection, table) as cursor:
        key, others = _columns(cursor, table, frame)
        _check_unique(table, frame, key)
        values = [name for name in others if name not in _ORIGIN]
        parts = {
            "target": _identifier(table),
            "staged": stage(connection, table, frame[[*key, *others]]),
            "columns": _list([*key, *others]),
            "key": _list(key),
            "same_key": sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in key),
            "differs": _differs("s", values),
            "older": sql.SQL("s.batch_date < t.batch_date" if newer_wins else "false"),
            "assignments": _assignments(others, newer_wins),
            "must_write": _must_write(values, newer_wins),
        }
        cursor.execute(sql.SQL("LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE").format(**parts))
        cursor.execute(
            sql.SQL(
                "SELECT count(*) FILTER (WHERE NOT {older} AND {differs}),"
                " count(*) FILTER (WHERE NOT {older} AND NOT {differs}), count(*) FILTER (WHERE {older})"
                " FROM {staged} AS s INNER JOIN {target} AS t ON {same_key}"
            ).format(**parts)
        )
        updated, unchanged, superseded = cursor.fetchone()
        cursor.execute(
            sql.SQL(
                "INSERT INTO {target} AS t ({columns}) SELECT {columns} FROM {staged} ORDER BY {key}"
                " ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE {must_write}"
            ).format(**parts)
        )
    return UpsertCounts(len(frame) - updated - unchanged - superseded, updated, unchanged, superseded)


def insert_missing(connection: Connection, table: str, frame: pd.DataFrame) -> pd.Series:
    """Insert the rows with a new primary key; existing rows are not changed.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`.
        frame: As for `upsert`.

    Returns:
        A boolean series with the frame's index: True for new rows.

    Raises:
        KeyError: The frame lacks a column.
        BadInput: Two rows of the frame have the same key, a text contains a NUL character, or a value violates a
            constraint.
    """
    is_new = np.zeros(len(frame), dtype=bool)
    if not frame.empty:
        with _cursor(connection, table) as cursor:
            key, others = _columns(cursor, table, frame)
            _check_unique(table, frame, key)
            columns = [*key, *others]
            staged = stage(connection, table, frame[columns], ordinal=True)
            cursor.execute(
                sql.SQL(
                    "WITH inserted AS (INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged} ORDER BY {key}"
                    " ON CONFLICT ({key}) DO NOTHING RETURNING {key})"
                    " SELECT s.ordinal FROM {staged} AS s INNER JOIN inserted USING ({key})"
                ).format(target=_identifier(table), staged=staged, columns=_list(columns), key=_list(key))
            )
            is_new[[ordinal for (ordinal,) in cursor.fetchall()]] = True
    return pd.Series(is_new, index=frame.index)


def stage(connection: Connection, table: str, frame: pd.DataFrame, *, ordinal: bool = False) -> sql.Identifier:
    """Copy a frame into a temporary table of this transaction, with the column types of `table`.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`. The temporary table is called `staged_schema_table`; a second call replaces it.
        frame: Contains columns of the table only.
        ordinal: Add a column `ordinal` with the position of each row in the frame.

    Returns:
        The name of the temporary table.

    Raises:
        BadInput: A text contains a NUL character, or a value does not have the type of its column.
    """
    parts = {
        "staged": sql.Identifier("staged_" + table.replace(".", "_")),
        "columns": _list(list(frame.columns)),
        "ordinal": sql.SQL(", 0::bigint AS ordinal" if ordinal else ""),
        "table": _identifier(table),
    }
    create = "CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT {columns}{ordinal} FROM {table} WITH NO DATA"
    if ordinal:
        frame = frame.assign(ordinal=np.arange(len(frame)))
    with _cursor(connection, table) as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{staged}").format(**parts))
        cursor.execute(sql.SQL(create).format(**parts))
        for lines in copy_rows(frame):
            if "\0" in lines:
                raise BadInput(
                    f"A text for {table} contains a NUL character, which PostgreSQL cannot store. Remove it from the "
                    "delivered file."
                )
            cursor.copy_expert(sql.SQL("COPY {staged} FROM STDIN").format(**parts), io.StringIO(lines))
        cursor.execute(sql.SQL("ANALYZE {staged}").format(**parts))
    return parts["staged"]


def copy_rows(frame: pd.DataFrame) -> Iterator[str]:
    """Yield the frame in PostgreSQL's COPY text format, as strings of at most 20,000 lines.

    A large frame is never in memory a second time as text.
    """
    for first in range(0, len(frame), _CHUNK_ROWS):
        chunk = frame.iloc[first : first + _CHUNK_ROWS]
        fields = [_fields(chunk[name]) for name in chunk.columns]
        yield "".join("\t".join(row) + "\n" for row in zip(*fields, strict=True))


def _fields(column: pd.Series) -> list[str]:
    values: list[Any] = column.astype(object).tolist()
    return ["\\N" if absent else _field(value) for value, absent in zip(values, column.isna(), strict=True)]


def _field(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool | np.bool_):
        return "t" if value else "f"
    if isinstance(value, float | np.floating):
        # A nullable integer arrives as a float, and PostgreSQL does not read 3.0 as an integer.
        return repr(float(value)).removesuffix(".0")
    if isinstance(value, list | tuple | np.ndarray):
        return "{" + ",".join(_field(item) for item in value) + "}"
    return str(value)


@contextmanager
def _cursor(connection: Connection, table: str) -> Iterator[Any]:
    """Yield the driver's cursor; an error about a value names table and constraint, but not the value."""
    with driver_connection(connection).cursor() as cursor:
        try:
            yield cursor
        except (psycopg2.IntegrityError, psycopg2.DataError, psycopg2.OperationalError) as error:
            if is_transient(error):
                raise
            raise rejected_rows(error, table) from None


def _columns(cursor: Any, table: str, frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the key of a table, and the other columns to write: those in the frame or without a default."""
    cursor.execute(_COLUMNS, [table])
    found = cursor.fetchall()
    key = [name for name, in_key, _ in found if in_key]
    others = [
        name
        for name, in_key, has_default in found
        if not in_key and name not in _EXCLUDED and (name in frame.columns or not has_default)
    ]
    return key, others


def _check_unique(table: str, frame: pd.DataFrame, key: Sequence[str]) -> None:
    repeated = int(frame.duplicated(key).sum())
    if repeated:
        raise BadInput(
            f"{repeated} rows for {table} repeat the key ({', '.join(key)}) of another row of the same batch. "
            "Validation should have quarantined all but one of them: report the missing rule."
        )


def _assignments(columns: Sequence[str], newer_wins: bool) -> sql.Composed:
    newest = (
        "{0} = CASE WHEN excluded.batch_date < t.batch_date THEN t.{0} ELSE excluded.{0} END"
        if newer_wins
        else "{0} = excluded.{0}"
    )
    earliest = "{0} = least(t.{0}, excluded.{0})"
    return sql.SQL(", ").join(
        sql.SQL(earliest if name == "first_batch_date" else newest).format(sql.Identifier(name)) for name in columns
    )


def _must_write(values: Sequence[str], newer_wins: bool) -> sql.Composable:
    differs = _differs("excluded", values)
    if not newer_wins:
        return differs
    return sql.SQL(
        "(excluded.batch_date >= t.batch_date AND {differs}) OR excluded.batch_date > t.batch_date"
        " OR excluded.first_batch_date < t.first_batch_date"
    ).format(differs=differs)


def _differs(other: str, values: Sequence[str]) -> sql.Composed:
    return sql.SQL("({}) IS DISTINCT FROM ({})").format(_list(values, "t"), _list(values, other))


def _list(names: Sequence[str], prefix: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names)


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
