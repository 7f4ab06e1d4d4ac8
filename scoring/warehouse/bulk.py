"""Bulk writes: COPY into a temporary table, then one INSERT ... ON CONFLICT, with exact counts for reconciliation.

A row of an older batch never overwrites a row of a newer one, in whatever order batches are processed, and a row with
the same values is not written again.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import psycopg2  # type: ignore[import-untyped]
from psycopg2 import sql
from sqlalchemy.engine import Connection

from scoring.errors import BadInput
from scoring.warehouse.engine import driver_connection, is_transient, rejected_rows

_CHUNK_ROWS = 20_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"


@dataclass(frozen=True)
class UpsertCounts:
    """Numbers of rows of an upsert by outcome; they add up to the rows of the frame."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0

    def __add__(self, other: "UpsertCounts") -> "UpsertCounts":
        return UpsertCounts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def upsert(
    connection: Connection,
    table: str,
    frame: pd.DataFrame,
    *,
    key: Sequence[str],
    payload: Sequence[str],
    provenance: Sequence[str] = (),
    newer_wins: bool = False,
) -> UpsertCounts:
    """Insert the rows of a frame, or update rows with a different payload.

    Until the transaction ends, the table is locked against other writers, which could make the counts wrong; readers
    are not affected.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`.
        frame: Contains the columns of key, payload and provenance; other columns are ignored. NaN, NaT and None are
            null.
        key: Columns of the table's primary key.
        payload: Columns that make a row an update if they differ.
        provenance: Columns with the origin of the payload. They are written with it, and do not cause an update.
        newer_wins: The table has `batch_date` and `first_batch_date`, both in provenance. A row with an older
            batch_date is superseded and only lowers first_batch_date. A row with a newer batch_date and the same
            payload counts as unchanged, but its batch_date is written: otherwise a batch between the two that is
            processed later would count as an update.

    Raises:
        BadInput: Two rows of the frame have the same key, a text contains a NUL character, or a value violates a
            constraint.
    """
    columns = [*key, *payload, *provenance]
    _check_unique(table, frame, key)
    if frame.empty:
        return UpsertCounts()
    parts = {
        "target": _identifier(table),
        "staged": stage(connection, table, frame, columns),
        "columns": _list(columns),
        "key": _list(key),
        "same_key": sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in key),
        "differs": _differs("t", "s", payload),
        "older": sql.SQL("s.batch_date < t.batch_date" if newer_wins else "false"),
        "assignments": _assignments(payload, provenance, newer_wins),
        "must_write": _must_write(payload, newer_wins),
    }
    with _cursor(connection, table) as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE").format(**parts))
        cursor.execute(
            sql.SQL(
                "SELECT count(*) FILTER (WHERE NOT {older} AND {differs}),"
                " count(*) FILTER (WHERE NOT {older} AND NOT {differs}), count(*) FILTER (WHERE {older})"
                " FROM {staged} AS s INNER JOIN {target} AS t ON {same_key}"
            ).format(**parts)
        )
        updated, unchanged, superseded = cast(tuple[int, int, int], cursor.fetchone())
        cursor.execute(
            sql.SQL(
                "INSERT INTO {target} AS t ({columns}) SELECT {columns} FROM {staged} ORDER BY {key}"
                " ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE {must_write}"
            ).format(**parts)
        )
    return UpsertCounts(len(frame) - updated - unchanged - superseded, updated, unchanged, superseded)


def insert_missing(connection: Connection, table: str, frame: pd.DataFrame, *, key: Sequence[str]) -> pd.Series:
    """Insert the rows with a new key; existing rows are not changed.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`.
        frame: Contains columns of the table only.
        key: Columns of the table's primary key.

    Returns:
        A boolean series with the frame's index: True for new rows.

    Raises:
        BadInput: Two rows of the frame have the same key, a text contains a NUL character, or a value violates a
            constraint.
    """
    columns = [str(name) for name in frame.columns]
    _check_unique(table, frame, key)
    is_new = np.zeros(len(frame), dtype=bool)
    if not frame.empty:
        staged = stage(connection, table, frame, columns, ordinal=True)
        with _cursor(connection, table) as cursor:
            cursor.execute(
                sql.SQL(
                    "WITH inserted AS (INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged} ORDER BY {key}"
                    " ON CONFLICT ({key}) DO NOTHING RETURNING {key})"
                    " SELECT s.ordinal FROM {staged} AS s INNER JOIN inserted USING ({key})"
                ).format(target=_identifier(table), staged=staged, columns=_list(columns), key=_list(key))
            )
            is_new[[ordinal for (ordinal,) in cursor.fetchall()]] = True
    return pd.Series(is_new, index=frame.index)


def stage(
    connection: Connection, table: str, frame: pd.DataFrame, columns: Sequence[str], *, ordinal: bool = False
) -> sql.Identifier:
    """Copy columns of a frame into a temporary table of this transaction, with the column types of `table`.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`. The temporary table is called `staged_schema_table`; a second call replaces it.
        frame: Contains the columns.
        columns: Columns of both.
        ordinal: Add a column `ordinal` with the position of each row in the frame.

    Returns:
        The name of the temporary table.

    Raises:
        BadInput: A text contains a NUL character, or a value does not have the type of its column.
    """
    staged = sql.Identifier("staged_" + table.replace(".", "_"))
    copied = [*columns, "ordinal"] if ordinal else list(columns)
    rows = frame.assign(ordinal=np.arange(len(frame))) if ordinal else frame
    with _cursor(connection, table) as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(staged))
        cursor.execute(
            sql.SQL(
                "CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT {columns}{ordinal} FROM {table} WITH NO DATA"
            ).format(
                staged=staged,
                columns=_list(columns),
                ordinal=sql.SQL(", 0::bigint AS ordinal" if ordinal else ""),
                table=_identifier(table),
            )
        )
        lines = _Lines(copy_rows(rows, copied))
        cursor.copy_expert(
            sql.SQL("COPY {staged} ({columns}) FROM STDIN").format(staged=staged, columns=_list(copied)), lines
        )
        if lines.contains_nul:
            raise BadInput(
                f"A text for {table} contains a NUL character, which PostgreSQL cannot store. Remove it in the "
                "extractor."
            )
        cursor.execute(sql.SQL("ANALYZE {}").format(staged))
    return staged


def copy_rows(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[str]:
    """Yield the frame in PostgreSQL's COPY text format, as strings of many lines."""
    for first in range(0, len(frame), _CHUNK_ROWS):
        chunk = frame.iloc[first : first + _CHUNK_ROWS]
        fields = [_fields(chunk[name]) for name in columns]
        yield "".join("\t".join(row) + "\n" for row in zip(*fields, strict=True))


def _fields(column: pd.Series) -> list[str]:
    values: list[Any] = column.astype(object).tolist()
    return [_NULL if absent else _field(value) for value, absent in zip(values, column.isna(), strict=True)]


def _field(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool | np.bool_):
        return "t" if value else "f"
    if isinstance(value, float | np.floating):
        number = float(value)
        # A nullable integer arrives as a float, and PostgreSQL does not read 3.0 as an integer.
        return str(int(number)) if number.is_integer() and number != 0 else repr(number)
    if isinstance(value, list | tuple | np.ndarray):
        return "{" + ",".join(_field(item) for item in value) + "}"
    return str(value)


class _Lines(io.TextIOBase):
    """A readable file for COPY, so that a large frame is never in memory a second time as text."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._rest = ""
        self.contains_nul = False

    def read(self, size: int | None = -1) -> str:
        if not self._rest:
            self._rest = next(self._chunks, "")
            if "\0" in self._rest:
                # An exception raised here would reach the caller as an error of COPY, like a cancelled query.
                self.contains_nul = True
                self._rest = ""
        end = len(self._rest) if size is None or size < 0 else size
        piece, self._rest = self._rest[:end], self._rest[end:]
        return piece


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


def _check_unique(table: str, frame: pd.DataFrame, key: Sequence[str]) -> None:
    repeated = int(frame.duplicated(list(key)).sum())
    if repeated:
        raise BadInput(
            f"{repeated} rows for {table} repeat the key ({', '.join(key)}) of another row of the same batch. "
            "Validation should have quarantined all but one of them: report the missing rule."
        )


def _assignments(payload: Sequence[str], provenance: Sequence[str], newer_wins: bool) -> sql.Composed:
    newest = (
        "{0} = CASE WHEN excluded.batch_date < t.batch_date THEN t.{0} ELSE excluded.{0} END"
        if newer_wins
        else "{0} = excluded.{0}"
    )
    earliest = "{0} = least(t.{0}, excluded.{0})"
    return sql.SQL(", ").join(
        sql.SQL(earliest if name == "first_batch_date" else newest).format(sql.Identifier(name))
        for name in (*payload, *provenance)
    )


def _must_write(payload: Sequence[str], newer_wins: bool) -> sql.Composable:
    differs = _differs("t", "excluded", payload)
    if not newer_wins:
        return differs
    return sql.SQL(
        "(excluded.batch_date >= t.batch_date AND {differs}) OR excluded.batch_date > t.batch_date"
        " OR excluded.first_batch_date < t.first_batch_date"
    ).format(differs=differs)


def _differs(left: str, right: str, payload: Sequence[str]) -> sql.Composed:
    return sql.SQL("({left}) IS DISTINCT FROM ({right})").format(
        left=_list(payload, prefix=left), right=_list(payload, prefix=right)
    )


def _list(names: Sequence[str], prefix: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names)


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
