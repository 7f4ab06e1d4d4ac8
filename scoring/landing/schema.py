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
from scoring.contract import COLUMNS
from scoring.storage import atomic_write

_TEXT = pa.string()
_TYPES = {"date": pa.date32(), "number": pa.float64()}


def _fields(type_: pa.DataType, *names: str, nullable: bool = True) -> list[pa.Field]:
    return [pa.field(name, type_, nullable=nullable) for name in names]


def _delivered(dataset: str) -> Iterator[pa.Field]:
    """Yield the columns of a delivered table, apart from the joints, which are staged as readings."""
    for column in COLUMNS[dataset]:
        if column.type == "text":
            yield pa.field(column.name, _TEXT)
        elif column.name not in joints.COLUMNS:
            yield pa.field(f"{column.name}_text", _TEXT)
            yield pa.field(column.name, _TYPES[column.type])


_ORIGIN = (
    *_fields(_TEXT, "source_file", nullable=False),
    *_fields(pa.int64(), "row_number", nullable=False),
    *_fields(pa.date32(), "batch_date", nullable=False),
    *_fields(_TEXT, "row_key", nullable=False),
)
_READINGS = (
    *_fields(_TEXT, "id_x", "patient_id", "sop_iuid"),
    *_fields(_TEXT, "joint", "reading_percent_text", nullable=False),
    *_fields(pa.float64(), "reading_percent"),
)
_IMAGES = (
    *_fields(_TEXT, "file_name", "uri", nullable=False),
    *_fields(pa.int64(), "size_bytes", nullable=False),
    # The hash is null only for a file that could not be opened.
    *_fields(_TEXT, "sha256", "sop_iuid", "joint"),
    *_fields(pa.bool_(), "decodes", nullable=False),
    *_fields(_TEXT, "decode_error", "color_space"),
    *_fields(pa.int64(), "width", "height"),
    *_fields(pa.float64(), "brightness", "contrast", "dark_share", "bright_share"),
    *_fields(pa.bool_(), "late", nullable=False),
)

SCHEMAS: Mapping[str, pa.Schema] = {
    "consultations": pa.schema([*_ORIGIN, *_delivered("consultations")]),
    "readings": pa.schema([*_ORIGIN, *_READINGS]),
    "disease_activity": pa.schema([*_ORIGIN, *_delivered("disease_activity")]),
    "images": pa.schema([*_ORIGIN, *_IMAGES]),
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
