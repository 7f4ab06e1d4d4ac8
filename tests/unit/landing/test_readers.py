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

from scoring.errors import BadInput
from scoring.landing.readers import (
    REQUIRED_COLUMNS,
    as_text,
    parse_dates,
    parse_numbers,
    read_table,
    stage_consultations,
    stage_disease_activity,
)
from scoring.landing.schema import CONSULTATIONS, DISEASE_ACTIVITY, READINGS

FOLDER_DATE = date(2026, 11, 21)
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
def test_dialects_of_csv(csv_bytes: CsvBytes, delimiter: str, newline: str, encoding: str) -> None:
    row = CONSULTATION | {"body_part": "Hände"}
    data = csv_bytes("consultations", row, delimiter=delimiter, newline=newline).decode().encode(encoding)
    frame = consultations(data)
    assert frame.loc[0, "patient_id"] == "00123"
    assert frame.loc[0, "body_part"] == "Hände"
    assert frame.loc[0, "hand_left_1"] == "12.5"
    assert frame["row_number"].tolist() == [2]


def test_decimal_comma_with_semicolons(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"das28bsr_score": "3,21"}, delimiter=";")
    staged = stage_disease_activity(activity(data), source_file="f", batch_date=FOLDER_DATE)
    assert staged.loc[0, "das28bsr_score"] == 3.21
    assert staged.loc[0, "das28bsr_score_text"] == "3,21"


def test_decimal_comma_inside_quotes(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"das28bsr_score": '"3,21"'})
    assert activity(data).loc[0, "das28bsr_score"] == "3,21"


def test_columns_in_any_order_case_and_company(csv_bytes: CsvBytes, caplog: pytest.LogCaptureFixture) -> None:
    header = " DAS28BSR_score ;Meier, Anna;Patient ID;DATE;das283crp_score;physician_global_disease_activity;"
    header += "global_patient_estimate_disease_activity"
    with caplog.at_level("INFO"):
        frame = activity(f"{header}\n3.1;secret;7;2026-11-20;;;\n".encode())
    assert frame.loc[0, "das28bsr_score"] == "3.1"
    assert frame.loc[0, "patient_id"] == "7"
    assert set(frame) == {"row_number", *REQUIRED_COLUMNS["disease_activity"]}
    assert "columns=1" in caplog.text
    assert "meier" not in caplog.text.lower()
    assert "secret" not in caplog.text


def test_row_numbers_are_lines_of_the_file() -> None:
    header = "patient_id,date,physician_global_disease_activity,global_patient_estimate_disease_activity,"
    header += "das28bsr_score,das283crp_score,note"
    data = f'{header}\n1,,,,,,\n\n2,,,,,,"two\nlines"\n3,,,,,,\n,,,,,,\n   \n4,,,,,,\n\n\n'.encode()
    frame = activity(data)
    assert dict(zip(frame["patient_id"], frame["row_number"], strict=True)) == {"1": 2, "2": 4, "3": 6, "4": 9}


def test_the_first_line_of_excel_that_names_the_delimiter(csv_bytes: CsvBytes) -> None:
    frame = activity(b"sep=;\r\n" + csv_bytes("disease_activity", ACTIVITY, delimiter=";", newline="\r\n"))
    assert frame.loc[0, "patient_id"] == "00123"
    assert frame.loc[0, "row_number"] == 3


def test_a_row_of_the_wrong_width_keeps_its_place_without_values(csv_bytes: CsvBytes) -> None:
    whole = csv_bytes("disease_activity", ACTIVITY).decode().splitlines()
    frame = activity("\n".join([*whole, "00124,2026-11-20,1,2,3,21,4", "00125,2026-11-20", whole[1]]).encode())
    assert frame["row_number"].tolist() == [2, 3, 4, 5]
    assert texts(frame["patient_id"]) == ["00123", None, None, "00123"]
    assert frame.loc[1:2].drop(columns="row_number").isna().all(axis=None)


def test_delimiters_at_the_end_of_lines_are_harmless(csv_bytes: CsvBytes) -> None:
    lines = csv_bytes("disease_activity", ACTIVITY, delimiter=";").decode().splitlines()
    assert activity(";;\n".join([*lines, ""]).encode()).loc[0, "patient_id"] == "00123"


def test_header_only_is_a_table_without_rows(csv_bytes: CsvBytes) -> None:
    frame = consultations(csv_bytes("consultations"))
    staged, readings = stage_consultations(frame, source_file="f", batch_date=FOLDER_DATE)
    assert (len(staged), len(readings)) == (0, 0)
    assert list(staged) == CONSULTATIONS.names
    assert list(readings) == READINGS.names
    pa.Table.from_pandas(staged, schema=CONSULTATIONS, preserve_index=False)
    pa.Table.from_pandas(readings, schema=READINGS, preserve_index=False)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf", b";;;\n"])
def test_an_empty_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"2026-11-21/consultations.csv"):
        consultations(data)


@pytest.mark.parametrize("column", ["patient_id", "sop_iuid", "hand_left_7", "rau_score"])
def test_a_missing_column_is_named_with_the_remedy(csv_bytes: CsvBytes, column: str) -> None:
    data = csv_bytes("consultations", CONSULTATION).replace(column.encode(), b"something_else", 1)
    with pytest.raises(BadInput, match=rf"consultations.csv has no column {column}. Add it to the export"):
        consultations(data)


def test_a_missing_column_tells_the_known_ones_and_how_many_others(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"esr": "1"}).replace(b"date,", b"Geb. 1950,Anna Meier,", 1)
    with pytest.raises(BadInput) as refused:
        activity(data)
    assert str(refused.value).endswith(
        "found were patient_id, physician_global_disease_activity, global_patient_estimate_disease_activity, "
        "das28bsr_score, das283crp_score, esr and 2 columns of another name."
    )


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("dataset", ["consultations", "disease_activity"])
def test_no_value_of_a_file_without_header_is_told(
    csv_bytes: CsvBytes, caplog: pytest.LogCaptureFixture, dataset: str, delimiter: str
) -> None:
    row = CONSULTATION if dataset == "consultations" else ACTIVITY
    values = {"id_x": "id-77", "patient_id": "pat-00123", "sop_iuid": "1.2.840.1", "date": "1950-04-01"}
    row = {name: values.get(name, text) for name, text in row.items()}
    data = csv_bytes(dataset, row, row, delimiter=delimiter).partition(b"\n")[2]
    with caplog.at_level("DEBUG"), pytest.raises(BadInput, match="has no header: none of the") as refused:
        read_table(data, dataset=dataset, source_file="night/table.csv")
    told = str(refused.value).replace("night/table.csv", "") + caplog.text
    assert [text for text in row.values() if len(text) > 1 and text in told] == []


def test_columns_that_tell_who_a_patient_is_are_warned_of_and_left_out(
    csv_bytes: CsvBytes, caplog: pytest.LogCaptureFixture
) -> None:
    row = CONSULTATION | {"Nachname": "Meier", "Birth Date": "1950-04-01", "hand_left_2": "5"}
    frame = consultations(csv_bytes("consultations", row))
    assert {"nachname", "birth_date"}.isdisjoint(frame.columns)
    assert "columns=birth_date,nachname: ignored, have the export leave them out" in caplog.text
    assert "Meier" not in caplog.text


def test_a_parquet_file_of_other_columns_tells_none_of_them() -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"Anna Meier": ["00123"]}), buffer)
    with pytest.raises(BadInput, match=r"d\.parquet has no header: none of the 1 fields") as refused:
        activity(buffer.getvalue(), "d.parquet")
    assert "meier" not in str(refused.value).lower()


def test_a_column_twice_is_refused(csv_bytes: CsvBytes) -> None:
    data = csv_bytes("disease_activity", ACTIVITY | {"crp": "1", "CRP": "2"})
    with pytest.raises(BadInput, match="has the column crp more than once"):
        activity(data)


def test_unknown_columns_may_repeat(csv_bytes: CsvBytes) -> None:
    assert len(activity(csv_bytes("disease_activity", ACTIVITY | {"x": "1", "X": "2"}))) == 1


@pytest.mark.parametrize(
    ("row", "line"),
    [('00124,"2026-11-20,1,2,3,\n00125,2026-11-20,1,2,3,4', 3), ('00124,"2026"-11-20,1,2,3,4', 3)],
)
def test_broken_quotes_name_the_line(csv_bytes: CsvBytes, row: str, line: int) -> None:
    data = csv_bytes("disease_activity", ACTIVITY) + f"{row}\n".encode()
    with pytest.raises(BadInput, match=rf"disease_activity.csv, line {line}: a quoted field is not closed"):
        activity(data)


@pytest.mark.parametrize("data", [b"PK\x03\x04\x00\x00" * 9, b"\xff\xfea", bytes(20)])
def test_a_file_that_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match="not a text file"):
        activity(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_words(data: bytes) -> None:
    for name in ("d.csv", "d.parquet"):
        with pytest.raises(BadInput, match=name):
            activity(data, name)


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)] * 6), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=60)
def test_what_any_export_quotes_is_read_back(rows: list[tuple[str, ...]], delimiter: str, newline: str) -> None:
    """Delimiters, quotes and line ends inside of cells change neither the cells nor the line a row begins on."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
    begins: list[int] = []
    for row in (REQUIRED_COLUMNS["disease_activity"], *rows):
        begins.append(len(re.findall(r"\r\n|\r|\n", buffer.getvalue())) + 1)
        writer.writerow(row)
    frame = activity(buffer.getvalue().encode())
    expected = [
        (line, *(cell.strip() or None for cell in row))
        for line, row in zip(begins[1:], rows, strict=True)
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

    def test_types_become_text_without_loss(self) -> None:
        frame = activity(self.to_bytes(self.table()), "d.parquet")
        assert frame["row_number"].tolist() == [2, 3]
        assert frame["patient_id"].tolist() == ["00123", "00124"]
        assert texts(frame["date"]) == ["2026-11-20", None]
        assert texts(frame["physician_global_disease_activity"]) == ["4", None]
        assert float(frame["global_patient_estimate_disease_activity"][0]) == np.float32(5.1)
        assert texts(frame["das28bsr_score"]) == ["3.20", None]
        assert texts(frame["das283crp_score"]) == ["0.0000001", "12"]

    def test_timestamps_at_midnight_are_dates(self) -> None:
        at = self.table().column_names.index("date")
        stamps = pa.array([datetime(2026, 11, 20), datetime(2026, 11, 20, 13, 5)], pa.timestamp("us"))  # noqa: DTZ001
        frame = activity(self.to_bytes(self.table().set_column(at, "date", stamps)), "d.parquet")
        assert frame["date"].tolist() == ["2026-11-20", "2026-11-20T13:05:00"]

    def test_a_missing_column(self) -> None:
        with pytest.raises(BadInput, match=r"d\.parquet has no column patient_id"):
            activity(self.to_bytes(self.table().drop_columns("patient_id")), "d.parquet")

    def test_a_truncated_file(self) -> None:
        with pytest.raises(BadInput, match=r"d\.parquet is no readable Parquet file"):
            activity(self.to_bytes(self.table())[:-20], "d.parquet")


class TestConsultations:
    def stage(self, data: bytes) -> tuple[pd.DataFrame, pd.DataFrame]:
        return stage_consultations(
            consultations(data), source_file="2026-11-21/consultations.csv", batch_date=FOLDER_DATE
        )

    def test_types_stand_beside_their_text(self, csv_bytes: CsvBytes) -> None:
        staged, _ = self.stage(csv_bytes("consultations", CONSULTATION | {"date_y": "20.11.2026", "rau_score": "n/a"}))
        row = staged.iloc[0]
        assert list(staged) == CONSULTATIONS.names
        assert row["row_key"] == "2026-11-21/consultations.csv:2"
        assert row["batch_date"] == FOLDER_DATE
        assert row["patient_id"] == "00123"
        assert row["date_x"] == date(2026, 11, 20)
        assert (row["date_y_text"], row["date_y"]) == ("20.11.2026", None)
        assert row["rau_score_text"] == "n/a"
        assert np.isnan(row["rau_score"])

    def test_readings_are_the_cells_that_are_filled(self, csv_bytes: CsvBytes) -> None:
        second = CONSULTATION | {"id_x": "c2", "hand_left_1": "n/a", "hand_left_10": "120", "wrist_left": "-5"}
        _, readings = self.stage(csv_bytes("consultations", CONSULTATION, second))
        assert list(readings) == READINGS.names
        assert readings["row_key"].tolist() == [
            "2026-11-21/consultations.csv:2:hand_left_1",
            "2026-11-21/consultations.csv:2:hand_left_10",
            "2026-11-21/consultations.csv:3:hand_left_1",
            "2026-11-21/consultations.csv:3:hand_left_10",
            "2026-11-21/consultations.csv:3:wrist_left",
        ]
        assert readings["erosion_text"].tolist() == ["12.5", "0", "n/a", "120", "-5"]
        assert readings["reading_percent"].tolist() == pytest.approx([12.5, 0, np.nan, 120, -5], nan_ok=True)
        assert readings["id_x"].tolist() == ["c1", "c1", "c2", "c2", "c2"]

    def test_columns_without_a_single_value(self, csv_bytes: CsvBytes) -> None:
        staged, readings = self.stage(csv_bytes("consultations", {"id_x": "c1"}))
        assert readings.empty
        table = pa.Table.from_pandas(staged, schema=CONSULTATIONS, preserve_index=False)
        assert table["rau_score"].null_count == 1


def test_disease_activity_has_all_measures_even_if_not_delivered(csv_bytes: CsvBytes) -> None:
    staged = stage_disease_activity(
        activity(csv_bytes("disease_activity", ACTIVITY | {"esr": "12"})), source_file="f.csv", batch_date=FOLDER_DATE
    )
    assert list(staged) == DISEASE_ACTIVITY.names
    assert staged.loc[0, "esr"] == 12
    assert staged[["crp", "crp_text", "swollen_28"]].isna().all(axis=None)
    assert staged.loc[0, "row_key"] == "f.csv:2"


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("12.5", 12.5), ("12,5", 12.5), ("-5", -5), ("+3", 3), (".5", 0.5), ("7,", 7), ("007", 7)],
)
def test_numbers(text: str, number: float) -> None:
    assert parse_numbers(pd.Series([text], dtype="str"))[0] == number


@pytest.mark.parametrize(
    "text",
    ["n/a", "NA", "NaN", "NULL", ".", "1e3", "12%", "1.234,5", "1 2", "0x1F", "inf", "12-15", "<5", "٣", "9" * 400],
)
def test_what_is_not_a_plain_number_has_no_value(text: str) -> None:
    assert np.isnan(parse_numbers(pd.Series([text], dtype="str"))[0])


@given(st.floats(-1e6, 1e6).map(lambda value: round(value, 4)))
def test_a_number_survives_the_way_through_text(value: float) -> None:
    text = as_text(value)
    assert text is not None
    for written in (text, text.replace(".", ",")):
        assert parse_numbers(pd.Series([written], dtype="str"))[0] == value


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20T00:00:00", "2026-11-20 00:00:00", "2026-11-20T00:00:00.000"]
)
def test_iso_dates(text: str) -> None:
    assert parse_dates(pd.Series([text], dtype="str"))[0] == date(2026, 11, 20)


@pytest.mark.parametrize(
    "text",
    [
        "20.11.2026",
        "20/11/2026",
        "11/20/2026",
        "2026-11-20T13:05:00",
        "2026-11-31",
        "20261120",
        "2026-11",
        "46346",
        "-",
    ],
)
def test_other_dates_have_no_value(text: str) -> None:
    assert parse_dates(pd.Series([text], dtype="str"))[0] is None


def test_far_dates_are_dates_for_validation_to_judge() -> None:
    assert parse_dates(pd.Series(["9999-12-31", "0001-01-01"], dtype="str")).tolist() == [date.max, date.min]


def test_as_text_of_the_rest() -> None:
    assert as_text(None) is None
    assert as_text(Decimal("NaN")) is None
    assert as_text(Decimal("1E+2")) == "100"
    assert as_text(True) == "True"
    assert as_text(datetime(2026, 11, 20, tzinfo=UTC)) == "2026-11-20T00:00:00+00:00"
