"""Bulk writes: COPY into a temporary table, then one INSERT ... ON CONFLICT, with exact counts for the books.

A row that came from an older landing folder never overwrites what a newer one said, whatever the order in which nights
are run; and a row whose values are there already is not written again.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import psycopg2  # type: ignore[import-untyped]
from psycopg2 import sql
from sqlalchemy.engine import Connection

from scoring.errors import BadInput
from scoring.warehouse.engine import driver_connection, may_pass, refusal

_ROWS_A_CHUNK = 20_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"


@dataclass(frozen=True)
class UpsertCounts:
    """What became of the rows of one upsert; the four add up to the rows that were given."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0

    def __add__(self, other: "UpsertCounts") -> "UpsertCounts":
        return UpsertCounts(
            self.new + other.new,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.superseded + other.superseded,
        )


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
    """Insert the frame's rows, or update those whose payload differs.

    The table is locked against other writers, not readers, until the caller's transaction ends; without that, the
    counts could be wrong by what another run writes in between.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`.
        frame: Has the columns of key, payload and provenance; more are ignored. NaN, NaT and None are null.
        key: Columns of the table's primary key.
        payload: Columns whose change is an update.
        provenance: Columns that say where the payload came from; written with it, but no reason to write.
        newer_wins: The table has `batch_date` and `first_batch_date` (both in provenance). An older batch_date never
            overwrites a newer one. A newer one with the same payload counts as unchanged but is remembered, else a
            night between the two that is run late would be taken for news. first_batch_date only ever falls.

    Returns:
        new, updated, unchanged and superseded rows, which add up to the frame's.

    Raises:
        BadInput: Two rows of the frame share a key, a text holds a NUL character, or a value breaks a constraint.
    """
    columns = [*key, *payload, *provenance]
    _check_unique(table, frame, key)
    if frame.empty:
        return UpsertCounts()
    target, staged = _identifier(table), stage(connection, table, frame, columns)
    parts = {
        "target": target,
        "staged": staged,
        "columns": _list(columns),
        "key": _list(key),
        "same_key": sql.SQL(" AND ").join(sql.SQL("t.{0} = s.{0}").format(sql.Identifier(name)) for name in key),
        "differs": _differs("t", "s", payload),
        "older": sql.SQL("s.batch_date < t.batch_date" if newer_wins else "false"),
    }
    with _cursor(connection, table) as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE").format(**parts))
        cursor.execute(
            sql.SQL(
                "SELECT count(*) FILTER (WHERE NOT {older} AND {differs}),"
                " count(*) FILTER (WHERE NOT {older} AND NOT {differs}),"
                " count(*) FILTER (WHERE {older})"
                " FROM {staged} AS s INNER JOIN {target} AS t ON {same_key}"
            ).format(**parts)
        )
        updated, unchanged, superseded = cast(tuple[int, int, int], cursor.fetchone())
        cursor.execute(
            sql.SQL(
                "INSERT INTO {target} AS t ({columns}) SELECT {columns} FROM {staged} ORDER BY {key}"
                " ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE {written}"
            ).format(
                **parts,
                assignments=_assignments(payload, provenance, newer_wins),
                written=_written(payload, newer_wins),
            )
        )
    return UpsertCounts(len(frame) - updated - unchanged - superseded, updated, unchanged, superseded)


def insert_missing(connection: Connection, table: str, frame: pd.DataFrame, *, key: Sequence[str]) -> pd.Series:
    """Insert the frame's rows whose key the table does not have yet; existing rows stay as they are.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`.
        frame: All its columns are columns of the table.
        key: Columns of the table's primary key.

    Returns:
        A boolean series with the frame's index: True where the row was new.

    Raises:
        BadInput: Two rows of the frame share a key, a text holds a NUL character, or a value breaks a constraint.
    """
    columns = [str(name) for name in frame.columns]
    _check_unique(table, frame, key)
    is_new = np.zeros(len(frame), dtype=bool)
    if not frame.empty:
        staged = stage(connection, table, frame, columns, ordinal=True)
        with _cursor(connection, table) as cursor:
            cursor.execute(
                sql.SQL(
                    "WITH inserted AS ("
                    "INSERT INTO {target} ({columns}) SELECT {columns} FROM {staged} ORDER BY {key}"
                    " ON CONFLICT ({key}) DO NOTHING RETURNING {key})"
                    " SELECT s.ordinal FROM {staged} AS s INNER JOIN inserted USING ({key})"
                ).format(target=_identifier(table), staged=staged, columns=_list(columns), key=_list(key))
            )
            is_new[[ordinal for (ordinal,) in cursor.fetchall()]] = True
    return pd.Series(is_new, index=frame.index)


def copy_rows(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[str]:
    """The frame as lines of PostgreSQL's COPY text format, one string a chunk of rows."""
    for first in range(0, len(frame), _ROWS_A_CHUNK):
        chunk = frame.iloc[first : first + _ROWS_A_CHUNK]
        fields = [_fields(chunk[name]) for name in columns]
        yield "".join("\t".join(row) + "\n" for row in zip(*fields, strict=True))


def _fields(column: pd.Series) -> list[str]:
    missing = column.isna().to_numpy()
    values: list[Any] = column.astype(object).tolist()
    return [_NULL if absent else _field(value) for value, absent in zip(values, missing, strict=True)]


def _field(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool | np.bool_):
        return "t" if value else "f"
    if isinstance(value, float | np.floating):
        number = float(value)
        # A nullable whole number arrives as a float, and 3.0 is no integer to PostgreSQL.
        return str(int(number)) if number.is_integer() and number != 0 else repr(number)
    if isinstance(value, list | tuple | np.ndarray):
        return "{" + ",".join(_field(item) for item in value) + "}"
    return str(value).translate(_ESCAPES)


class _Lines(io.TextIOBase):
    """Chunks as the readable file that COPY wants, so that a large frame is never a second time in memory as text."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._rest = ""
        self.holds_nul = False

    def read(self, size: int | None = -1) -> str:
        if not self._rest:
            self._rest = next(self._chunks, "")
            if "\0" in self._rest:
                # An error raised here would reach the caller as COPY's, and look like a server that cancelled.
                self.holds_nul = True
                self._rest = ""
        end = len(self._rest) if size is None or size < 0 else size
        piece, self._rest = self._rest[:end], self._rest[end:]
        return piece


def stage(
    connection: Connection, table: str, frame: pd.DataFrame, columns: Sequence[str], *, ordinal: bool = False
) -> sql.Identifier:
    """Copy columns of the frame into a temporary table of this transaction, typed as those of `table`.

    Args:
        connection: Inside the caller's transaction.
        table: `schema.table`; a second call for the same one replaces what the first staged.
        frame: Has the columns.
        columns: Columns of both.
        ordinal: Add a column `ordinal` with the place of each row in the frame.

    Returns:
        The temporary table's name.

    Raises:
        BadInput: A text holds a NUL character, or a value does not fit its column.
    """
    name = "staged_" + table.replace(".", "_")
    staged = sql.Identifier(name)
    extra = ["ordinal"] if ordinal else []
    rows = frame.assign(ordinal=np.arange(len(frame))) if ordinal else frame
    with _cursor(connection, table) as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(staged))
        cursor.execute(
            sql.SQL("CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT {columns}{extra} FROM {table}").format(
                staged=staged,
                columns=_list(columns),
                extra=sql.SQL(", 0::bigint AS ordinal" if ordinal else ""),
                table=_identifier(table),
            )
            + sql.SQL(" WITH NO DATA")
        )
        lines = _Lines(copy_rows(rows, [*columns, *extra]))
        cursor.copy_expert(
            sql.SQL("COPY {staged} ({columns}) FROM STDIN").format(staged=staged, columns=_list([*columns, *extra])),
            lines,
        )
        if lines.holds_nul:
            raise BadInput(
                f"A text for {table} holds a NUL character, which PostgreSQL cannot store: "
                "have the extractor remove it."
            )
        cursor.execute(sql.SQL("ANALYZE {}").format(staged))
    return staged


@contextmanager
def _cursor(connection: Connection, table: str) -> Iterator[Any]:
    """The driver's cursor; an error about a value names table and constraint, not the value as PostgreSQL does."""
    with driver_connection(connection).cursor() as cursor:
        try:
            yield cursor
        except (psycopg2.IntegrityError, psycopg2.DataError, psycopg2.OperationalError) as refused:
            if may_pass(refused):
                raise
            raise refusal(refused, table) from None


def _check_unique(table: str, frame: pd.DataFrame, key: Sequence[str]) -> None:
    repeated = int(frame.duplicated(list(key)).sum())
    if repeated:
        raise BadInput(
            f"{repeated} rows for {table} repeat the key ({', '.join(key)}) of another row of the same folder: "
            "validation must let only one of them through."
        )


def _assignments(payload: Sequence[str], provenance: Sequence[str], newer_wins: bool) -> sql.Composed:
    # A newer batch_date may come with the same payload, and an older one only to tell that it was the first.
    taken = (
        "{0} = CASE WHEN excluded.batch_date < t.batch_date THEN t.{0} ELSE excluded.{0} END"
        if newer_wins
        else "{0} = excluded.{0}"
    )
    first = "{0} = least(t.{0}, excluded.{0})"
    return sql.SQL(", ").join(
        sql.SQL(first if name == "first_batch_date" else taken).format(sql.Identifier(name))
        for name in (*payload, *provenance)
    )


def _written(payload: Sequence[str], newer_wins: bool) -> sql.Composable:
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
