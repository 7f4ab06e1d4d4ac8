"""Views as Parquet or CSV, with types, comments and units."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from psycopg2 import sql  # type: ignore[import-untyped]
from upath import UPath

from scoring.warehouse.catalogue import Column, Relation

TableFormat = Literal["parquet", "csv"]
Batches = Iterable[Sequence[Sequence[Any]]]

# Name in Hive, Arrow, DuckDB and Spark for the partition of rows without a value.
_NO_YEAR = "__HIVE_DEFAULT_PARTITION__"

_TYPES = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "numeric": pa.float64(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}


def arrow_type(postgres_type: str) -> pa.DataType:
    """Return the Arrow type of a PostgreSQL type: double for numeric, text for types without a counterpart."""
    element = _TYPES.get(_element(postgres_type), pa.string())
    return pa.list_(element) if postgres_type.endswith("[]") else element


def table_schema(view: Relation, table_format: TableFormat) -> pa.Schema:
    """Return the columns of an exported view; the metadata of each field has its `comment` and `unit`."""
    fields = (
        pa.field(column.name, _type_in(column, table_format), metadata={"comment": column.comment, "unit": column.unit})
        for column in view.columns
    )
    return pa.schema(fields, metadata={"comment": view.comment})


def partition_column(view: Relation) -> str | None:
    """Return the date column by which Parquet files are partitioned into years: the first one; None without dates."""
    return next((column.name for column in view.columns if column.type == "date"), None)


def select_view(view: Relation, table_format: TableFormat) -> sql.Composed:
    """Return the query that reads a view with the types of its export, in the order of its partitions."""
    query = sql.SQL("SELECT {columns} FROM {view}").format(
        columns=sql.SQL(", ").join(_expression(column, table_format) for column in view.columns),
        view=sql.Identifier(view.schema, view.name),
    )
    partition = partition_column(view)
    return query if partition is None else query + sql.SQL(" ORDER BY {}").format(sql.Identifier(view.name, partition))


def write_csv(batches: Batches, schema: pa.Schema, path: UPath) -> int:
    """Write batches of rows to a CSV file with a header; missing values are empty. Returns the number of rows."""
    rows = 0
    with path.open("wb") as file, pyarrow.csv.CSVWriter(file, schema) as writer:
        for batch in batches:
            writer.write_batch(_record_batch(batch, schema))
            rows += len(batch)
    return rows


def write_parquet(batches: Batches, schema: pa.Schema, folder: UPath, partition: str | None) -> int:
    """Write batches of rows to Parquet: `part.parquet` in the folder, or one file per year in `<column>_year=2020/`.

    The batches are in the order of the partition, a date column. Its year is in the path only.

    Returns:
        The number of rows. A view without rows has one empty file, so that its columns can be read.
    """
    rows = 0
    for year, parts in groupby(_batches_by_year(batches, schema, partition), key=itemgetter(0)):
        target = folder if partition is None else folder / f"{partition}_year={year or _NO_YEAR}"
        with _parquet_file(target, schema) as writer:
            for _, part in parts:
                writer.write_batch(part)
                rows += part.num_rows
    if not rows:
        with _parquet_file(folder, schema):
            pass
    return rows


def _type_in(column: Column, table_format: TableFormat) -> pa.DataType:
    found = arrow_type(column.type)
    as_text = pa.types.is_list(found) or pa.types.is_boolean(found)
    return pa.string() if table_format == "csv" and as_text else found


def _element(postgres_type: str) -> str:
    """Return the type of a value, or of the elements of an array, without its precision."""
    return postgres_type.removesuffix("[]").partition("(")[0]


def _expression(column: Column, table_format: TableFormat) -> sql.Composable:
    name = sql.Identifier(column.name)
    is_list, element = column.type.endswith("[]"), _element(column.type)
    if is_list and table_format == "csv":
        # CSV has no lists, and its readers can parse JSON.
        return sql.SQL("CAST(array_to_json({}) AS text)").format(name)
    if element == "boolean" and table_format == "csv":
        # R reads TRUE as a logical value, but true as text.
        return sql.SQL("upper(CAST({} AS text))").format(name)
    if element in _TYPES and element != "numeric":
        return name
    kept = sql.SQL("double precision" if element == "numeric" else "text")
    return sql.SQL("CAST({} AS {}{})").format(name, kept, sql.SQL("[]" if is_list else ""))


def _record_batch(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _batches_by_year(
    batches: Batches, schema: pa.Schema, partition: str | None
) -> Iterator[tuple[int | None, pa.RecordBatch]]:
    """Yield consecutive rows of the same year, with the year; without a partition, whole batches and None."""
    for rows in batches:
        batch = _record_batch(rows, schema)
        years = [None] * len(rows) if partition is None else pc.year(batch.column(partition)).to_pylist()
        start = 0
        for year, same in groupby(years):
            length = len(list(same))
            yield year, batch.slice(start, length)
            start += length


@contextmanager
def _parquet_file(folder: UPath, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "part.parquet").open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer
