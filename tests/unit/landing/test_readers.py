import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.contract import column_names
from scoring.errors import BadInput
from scoring.landing.readers import as_text, read_table

ACTIVITY_COLUMNS = column_names("disease_activity", required=True)
CONSULTATION = {
    "id_x": "c1",
    "patient_id": "00123",
    "date_x": "2026-11-20",
    "date_y": "2026-11-20",
    "sop_iuid": "1.2.3",
    "body_part": "hand",
    "hand_left_1": "12.5",
    "hand_left_10": "0",
    "rau_score": "3",
}
ACTIVITY = {"patient_id": "00123", "date": "2026-11-20", "das28bsr_score": "3.21"}

CsvBytes = Callable[..., bytes]


def consultations(data: bytes) -> pd.DataFrame:
    return read_table(data, dataset="consultations", source_file="2026-11-21/consultations.csv")


def activity(data: bytes, name: str = "2026-11-21/disease_activity.csv") -> pd.DataFrame:
    return read_table(data, dataset="disease_activity", source_file=name)


def texts(series: pd.Series) -> list[str | None]:
    return [None if pd.isna(text) else text for text in series]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_read_table_accepts_dialects_of_csv(csv_bytes: CsvBytes, delimiter: str, newline: str, encoding: str) -> None:
    row = CONSULTATION | {"body_part": "Hände"}
    data = csv_bytes("consultations", row, delimiter=delimiter, newline=newline).decode().encode(encoding)
    frame = consultations(data)
    assert frame.loc[0, "patient_id"] == "00123"
    assert frame.loc[0, "body_part"] == "Hände"
    assert frame.loc[0, "hand_left_1"] == "12.5"
    assert frame["row_number"].tolist() == [2]


def test_read_table_keeps_a_decimal_comma_in_quotes(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"das28bsr_score": '"3,21"'})
    assert activity(data).loc[0, "das28bsr_score"] == "3,21"


def test_read_table_finds_columns_in_any_order_and_case_and_ignores_others(
    csv_bytes: CsvBytes, caplog: pytest.LogCaptureFixture
) -> None:
    header = " DAS28BSR_score ;Meier, Anna;Patient ID;DATE;das283crp_score;physician_global_disease_activity;"
    header += "global_patient_estimate_disease_activity"
    with caplog.at_level("INFO"):
        frame = activity(f"{header}\n3.1;secret;7;2026-11-20;;;\n".encode())
    assert frame.loc[0, "das28bsr_score"] == "3.1"
    assert frame.loc[0, "patient_id"] == "7"
    assert set(frame) == {"row_number", *ACTIVITY_COLUMNS}
    assert "columns=1" in caplog.text
    assert "meier" not in caplog.text.lower()
    assert "secret" not in caplog.text


def test_read_table_numbers_rows_by_their_line() -> None:
    header = "patient_id,date,physician_global_disease_activity,global_patient_estimate_disease_activity,"
    header += "das28bsr_score,das283crp_score,note"
    data = f'{header}\n1,,,,,,\n\n2,,,,,,"two\nlines"\n3,,,,,,\n,,,,,,\n   \n4,,,,,,\n\n\n'.encode()
    frame = activity(data)
    assert dict(zip(frame["patient_id"], frame["row_number"], strict=True)) == {"1": 2, "2": 4, "3": 6, "4": 9}


def test_read_table_skips_the_separator_line_of_excel(csv_bytes: CsvBytes) -> None:
    frame = activity(b"sep=;\r\n" + csv_bytes("disease_activity", ACTIVITY, delimiter=";", newline="\r\n"))
    assert frame.loc[0, "patient_id"] == "00123"
    assert frame.loc[0, "row_number"] == 3


def test_read_table_keeps_a_malformed_row_without_values(csv_bytes: CsvBytes) -> None:
    whole = csv_bytes("disease_activity", ACTIVITY).decode().splitlines()
    frame = activity("\n".join([*whole, "00124,2026-11-20,1,2,3,21,4", "00125,2026-11-20", whole[1]]).encode())
    assert frame["row_number"].tolist() == [2, 3, 4, 5]
    assert texts(frame["patient_id"]) == ["00123", None, None, "00123"]
    assert frame.loc[1:2].drop(columns="row_number").isna().all(axis=None)


def test_read_table_ignores_delimiters_at_the_end_of_lines(csv_bytes: CsvBytes) -> None:
    lines = csv_bytes("disease_activity", ACTIVITY, delimiter=";").decode().splitlines()
    assert activity(";;\n".join([*lines, ""]).encode()).loc[0, "patient_id"] == "00123"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf", b";;;\n"])
def test_read_table_rejects_an_empty_file(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"2026-11-21/consultations.csv"):
        consultations(data)


@pytest.mark.parametrize("column", ["patient_id", "sop_iuid", "hand_left_7", "rau_score"])
def test_read_table_reports_a_missing_column_with_the_remedy(csv_bytes: CsvBytes, column: str) -> None:
    data = csv_bytes("consultations", CONSULTATION).replace(column.encode(), b"something_else", 1)
    with pytest.raises(BadInput, match=rf"consultations.csv has no column {column}. Add it to the export"):
        consultations(data)


def test_read_table_reports_known_columns_and_the_number_of_unknown_ones(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"esr": "1"}).replace(b"date,", b"Geb. 1950,Anna Meier,", 1)
    with pytest.raises(BadInput) as rejected:
        activity(data)
    assert str(rejected.value).endswith(
        "Known columns in the file: patient_id, physician_global_disease_activity, "
        "global_patient_estimate_disease_activity, das28bsr_score, das283crp_score, esr. Number of unknown columns: 2."
    )


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("dataset", ["consultations", "disease_activity"])
def test_read_table_quotes_no_value_of_a_file_without_header(
    csv_bytes: CsvBytes, caplog: pytest.LogCaptureFixture, dataset: str, delimiter: str
) -> None:
    row = CONSULTATION if dataset == "consultations" else ACTIVITY
    values = {"id_x": "id-77", "patient_id": "pat-00123", "sop_iuid": "1.2.840.1", "date": "1950-04-01"}
    row = {name: values.get(name, text) for name, text in row.items()}
    data = csv_bytes(dataset, row, row, delimiter=delimiter).partition(b"\n")[2]
    with caplog.at_level("DEBUG"), pytest.raises(BadInput, match="has no header: none of the") as rejected:
        read_table(data, dataset=dataset, source_file="batch/table.csv")
    messages = str(rejected.value).replace("batch/table.csv", "") + caplog.text
    assert [text for text in row.values() if len(text) > 1 and text in messages] == []


def test_read_table_warns_of_identifying_columns_and_ignores_them(
    csv_bytes: CsvBytes, caplog: pytest.LogCaptureFixture
) -> None:
    row = CONSULTATION | {"Nachname": "Meier", "Birth Date": "1950-04-01", "hand_left_2": "5"}
    frame = consultations(csv_bytes("consultations", row))
    assert {"nachname", "birth_date"}.isdisjoint(frame.columns)
    assert "identifying_columns_ignored file=2026-11-21/consultations.csv columns=birth_date,nachname" in caplog.text
    assert "Meier" not in caplog.text


def test_read_table_quotes_no_unknown_column_of_a_parquet_file() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"Anna Meier": ["00123"]}), buffer)
    with pytest.raises(BadInput, match=r"d\.parquet has no header: none of the 1 fields") as rejected:
        activity(buffer.getvalue(), "d.parquet")
    assert "meier" not in str(rejected.value).lower()


def test_read_table_rejects_a_repeated_column(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"crp": "1", "CRP": "2"})
    with pytest.raises(BadInput, match="has the column crp more than once"):
        activity(data)


def test_read_table_accepts_repeated_unknown_columns(csv_bytes: CsvBytes) -> None:
    assert len(activity(csv_bytes("disease_activity", ACTIVITY | {"x": "1", "X": "2"}))) == 1


@pytest.mark.parametrize(
    ("row", "line"),
    [('00124,"2026-11-20,1,2,3,\n00125,2026-11-20,1,2,3,4', 3), ('00124,"2026"-11-20,1,2,3,4', 3)],
)
def test_read_table_reports_the_line_of_broken_quotes(csv_bytes: CsvBytes, row: str, line: int) -> None:
    data = csv_bytes("disease_activity", ACTIVITY) + f"{row}\n".encode()
    with pytest.raises(BadInput, match=rf"disease_activity.csv, line {line}: a quoted field is not closed"):
        activity(data)


@pytest.mark.parametrize("data", [b"PK\x03\x04\x00\x00" * 9, b"\xff\xfea", bytes(20)])
def test_read_table_rejects_a_file_that_is_not_text(data: bytes) -> None:
    with pytest.raises(BadInput, match="not a text file"):
        activity(data)


@given(st.binary(max_size=200))
def test_read_table_rejects_arbitrary_bytes_with_a_message(data: bytes) -> None:
    for name in ("d.csv", "d.parquet"):
        with pytest.raises(BadInput, match=name):
            activity(data, name)


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)] * 6), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=60)
def test_read_table_restores_quoted_cells(rows: list[tuple[str, ...]], delimiter: str, newline: str) -> None:
    """Delimiters, quotes and line ends in cells change neither the cells nor the line numbers."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    first_lines: list[int] = []
    for row in (ACTIVITY_COLUMNS, *rows):
        first_lines.append(len(re.findall(r"\r\n|\r|\n", buffer.getvalue())) + 1)
        writer.writerow(row)
    frame = activity(buffer.getvalue().encode())
    expected = [
        (line, *(cell.strip() or None for cell in row))
        for line, row in zip(first_lines[1:], rows, strict=True)
        if any(cell.strip() for cell in row)
    ]
    read = frame.astype(object).where(frame.notna(), None)
    assert list(read.itertuples(index=False, name=None)) == expected


class TestParquet:
    COLUMNS: ClassVar = {
        "patient_id": ["00123", "00124"],
        "date": [date(2026, 11, 20), None],
        "physician_global_disease_activity": [4, None],
        "global_patient_estimate_disease_activity": [np.float32(5.1), np.nan],
        "das28bsr_score": [Decimal("3.20"), None],
        "das283crp_score": [1e-7, 12.0],
    }

    def to_bytes(self, table: pa.Table) -> bytes:
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()

    def table(self) -> pa.Table:
        table = pa.table(self.COLUMNS)
        at = table.column_names.index("global_patient_estimate_disease_activity")
        return table.set_column(at, table.field(at).name, table.column(at).cast(pa.float32()))

    def test_read_table_converts_types_to_text_without_loss(self) -> None:
        frame = activity(self.to_bytes(self.table()), "d.parquet")
        assert frame["row_number"].tolist() == [2, 3]
        assert frame["patient_id"].tolist() == ["00123", "00124"]
        assert texts(frame["date"]) == ["2026-11-20", None]
        assert texts(frame["physician_global_disease_activity"]) == ["4", None]
        assert float(frame["global_patient_estimate_disease_activity"][0]) == np.float32(5.1)
        assert texts(frame["das28bsr_score"]) == ["3.20", None]
        assert texts(frame["das283crp_score"]) == ["0.0000001", "12"]

    def test_read_table_converts_timestamps_at_midnight_to_dates(self) -> None:
        at = self.table().column_names.index("date")
        stamps = pa.array([datetime(2026, 11, 20), datetime(2026, 11, 20, 13, 5)], pa.timestamp("us"))  # noqa: DTZ001
        frame = activity(self.to_bytes(self.table().set_column(at, "date", stamps)), "d.parquet")
        assert frame["date"].tolist() == ["2026-11-20", "2026-11-20T13:05:00"]

    def test_read_table_reports_a_missing_column(self) -> None:
        with pytest.raises(BadInput, match=r"d\.parquet has no column patient_id"):
            activity(self.to_bytes(self.table().drop_columns("patient_id")), "d.parquet")

    def test_read_table_rejects_a_truncated_file(self) -> None:
        with pytest.raises(BadInput, match=r"d\.parquet is not a readable Parquet file"):
            activity(self.to_bytes(self.table())[:-20], "d.parquet")


def test_as_text_converts_other_types() -> None:
    assert as_text(None) is None
    assert as_text(Decimal("NaN")) is None
    assert as_text(Decimal("1E+2")) == "100"
    assert as_text(True) == "True"
    assert as_text(datetime(2026, 11, 20, tzinfo=UTC)) == "2026-11-20T00:00:00+00:00"
