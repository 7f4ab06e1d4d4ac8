"""Columns and types of the staged tables, and how they are written.

A date or number of the landing contract has two columns: its text as delivered, and the typed value, which is missing
if the text cannot be parsed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from scoring.clinical import joints
from scoring.contract import ACTIVITY_COLUMNS, CONSULTATION_COLUMNS, Column
from scoring.storage import atomic_write

_TYPES = {"date": pa.date32(), "number": pa.float64()}

_ORIGIN = (
    pa.field("source_file", pa.string(), nullable=False),
    pa.field("row_number", pa.int64(), nullable=False),
    pa.field("batch_date", pa.date32(), nullable=False),
    pa.field("row_key", pa.string(), nullable=False),
)


def _fields(column: Column) -> list[tuple[str, pa.DataType]]:
    if column.type == "text":
        return [(column.name, pa.string())]
    return [(f"{column.name}_text", pa.string()), (column.name, _TYPES[column.type])]


CONSULTATIONS = pa.schema(
    [
        *_ORIGIN,
        *(field for column in CONSULTATION_COLUMNS if column.name not in joints.COLUMNS for field in _fields(column)),
    ]
)

READINGS = pa.schema(
    [
        *_ORIGIN,
        ("id_x", pa.string()),
        ("patient_id", pa.string()),
        ("sop_iuid", pa.string()),
        pa.field("joint", pa.string(), nullable=False),
        pa.field("erosion_text", pa.string(), nullable=False),
        ("reading_percent", pa.float64()),
    ]
)

DISEASE_ACTIVITY = pa.schema([*_ORIGIN, *(field for column in ACTIVITY_COLUMNS for field in _fields(column))])

IMAGES = pa.schema(
    [
        *_ORIGIN,
        pa.field("file_name", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        # Null only for a file that could not be opened.
        ("sha256", pa.string()),
        ("sop_iuid", pa.string()),
        ("joint", pa.string()),
        pa.field("decodes", pa.bool_(), nullable=False),
        ("decode_error", pa.string()),
        ("color_space", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("brightness", pa.float64()),
        ("contrast", pa.float64()),
        ("dark_share", pa.float64()),
        ("bright_share", pa.float64()),
        pa.field("late", pa.bool_(), nullable=False),
    ]
)

SCHEMAS: Mapping[str, pa.Schema] = {
    "consultations": CONSULTATIONS,
    "readings": READINGS,
    "disease_activity": DISEASE_ACTIVITY,
    "images": IMAGES,
}


@contextmanager
def parquet_writer(path: UPath, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file in row groups; it appears under its name only when it is complete."""
    with atomic_write(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer


def read_parquet(path: UPath) -> pd.DataFrame:
    """Read a staged table: text as pandas strings, dates as `datetime.date`, missing numbers as NaN."""
    with path.open("rb") as file:
        frame: pd.DataFrame = pq.read_table(file).to_pandas()
    return frame
