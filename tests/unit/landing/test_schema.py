from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from upath import UPath

from scoring.landing.schema import SCHEMAS, parquet_writer, read_parquet

READINGS = SCHEMAS["readings"]
READING = {
    "source_file": "2026-11-21/consultations.csv",
    "row_number": 2,
    "batch_date": date(2026, 11, 21),
    "row_key": "2026-11-21/consultations.csv:2:hand_left_1",
    "id_x": "c1",
    "patient_id": "00123",
    "sop_iuid": None,
    "joint": "hand_left_1",
    "reading_percent_text": "n/a",
    "reading_percent": np.nan,
}


def write(frame: pd.DataFrame, path: UPath) -> None:
    with parquet_writer(path, READINGS) as writer:
        writer.write_table(pa.Table.from_pandas(frame, schema=READINGS, preserve_index=False))


def test_read_parquet_reads_what_parquet_writer_wrote(tmp_path: Path) -> None:
    path = UPath(tmp_path / "run" / "readings.parquet")
    write(pd.DataFrame([READING]), path)
    row = read_parquet(path).iloc[0]
    assert row["patient_id"] == "00123"
    assert row["batch_date"] == date(2026, 11, 21)
    assert pd.isna(row["sop_iuid"])
    assert np.isnan(row["reading_percent"])


def test_parquet_writer_keeps_the_columns_of_an_empty_table(tmp_path: Path) -> None:
    path = UPath(tmp_path / "readings.parquet")
    write(pd.DataFrame(columns=READINGS.names), path)
    assert list(read_parquet(path)) == READINGS.names


def test_parquet_writer_rejects_a_row_without_a_required_value(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="joint"):
        write(pd.DataFrame([READING | {"joint": None}]), UPath(tmp_path / "r.parquet"))


def test_parquet_writer_keeps_the_old_file_if_writing_fails(tmp_path: Path) -> None:
    path = UPath(tmp_path / "readings.parquet")
    write(pd.DataFrame([READING]), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="schema"), parquet_writer(path, READINGS) as writer:
        writer.write_table(pa.table({"another": ["table"]}))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["readings.parquet"]
