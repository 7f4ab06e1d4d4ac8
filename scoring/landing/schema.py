"""The staged tables: their columns, their types, and how they are written.

Text and typed value stand side by side: a value that was delivered but cannot be read has its text and no typed value.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from scoring.contract import MEASURES
from scoring.storage import atomic_write

_ORIGIN = (
    pa.field("source_file", pa.string(), nullable=False),
    pa.field("row_number", pa.int64(), nullable=False),
    pa.field("batch_date", pa.date32(), nullable=False),
    pa.field("row_key", pa.string(), nullable=False),
)

CONSULTATIONS = pa.schema(
    (
        *_ORIGIN,
        ("id_x", pa.string()),
        ("patient_id", pa.string()),
        ("date_x_text", pa.string()),
        ("date_x", pa.date32()),
        ("date_y_text", pa.string()),
        ("date_y", pa.date32()),
        ("sop_iuid", pa.string()),
        ("body_part", pa.string()),
        ("rau_score_text", pa.string()),
        ("rau_score", pa.float64()),
    )
)

READINGS = pa.schema(
    (
        *_ORIGIN,
        ("id_x", pa.string()),
        ("patient_id", pa.string()),
        ("sop_iuid", pa.string()),
        pa.field("joint", pa.string(), nullable=False),
        pa.field("erosion_text", pa.string(), nullable=False),
        ("reading_percent", pa.float64()),
    )
)

DISEASE_ACTIVITY = pa.schema(
    (
        *_ORIGIN,
        ("patient_id", pa.string()),
        ("date_text", pa.string()),
        ("date", pa.date32()),
        *(column for measure in MEASURES for column in ((f"{measure}_text", pa.string()), (measure, pa.float64()))),
    )
)

IMAGES = pa.schema(
    (
        *_ORIGIN,
        pa.field("file_name", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        # Null only for a file that could not be opened at all.
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
    )
)


@contextmanager
def parquet_writer(path: UPath, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file row group by row group; it takes its name only when it is whole."""
    with atomic_write(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer


def read_parquet(path: UPath) -> pd.DataFrame:
    """Read a staged table: text as pandas strings, dates as `datetime.date`, missing numbers as NaN."""
    with path.open("rb") as file:
        frame: pd.DataFrame = pq.read_table(file).to_pandas()
    return frame
