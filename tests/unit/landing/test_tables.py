from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.landing.readers import as_text, read_table
from scoring.landing.schema import SCHEMAS
from scoring.landing.tables import parse_dates, parse_numbers, stage_table

BATCH_DATE = date(2026, 11, 21)
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

Stage = Callable[..., dict[str, pd.DataFrame]]


@pytest.fixture
def stage(csv_bytes: Callable[..., bytes]) -> Stage:
    """Stage rows as from a CSV file in the batch folder."""

    def stage_rows(dataset: str, *rows: dict[str, str], delimiter: str = ",") -> dict[str, pd.DataFrame]:
        source_file = f"2026-11-21/{dataset}.csv"
        text = read_table(csv_bytes(dataset, *rows, delimiter=delimiter), dataset=dataset, source_file=source_file)
        return stage_table(dataset, text, source_file=source_file, batch_date=BATCH_DATE)

    return stage_rows


def test_stage_table_adds_typed_values_to_the_text(stage: Stage) -> None:
    staged = stage("consultations", CONSULTATION | {"date_y": "20.11.2026", "rau_score": "n/a"})["consultations"]
    row = staged.iloc[0]
    assert list(staged) == SCHEMAS["consultations"].names
    assert row["row_key"] == "2026-11-21/consultations.csv:2"
    assert row["batch_date"] == BATCH_DATE
    assert row["patient_id"] == "00123"
    assert row["date_x"] == date(2026, 11, 20)
    assert (row["date_y_text"], row["date_y"]) == ("20.11.2026", None)
    assert row["rau_score_text"] == "n/a"
    assert np.isnan(row["rau_score"])


def test_stage_table_accepts_a_decimal_comma(stage: Stage) -> None:
    staged = stage("disease_activity", ACTIVITY | {"das28bsr_score": "3,21"}, delimiter=";")["disease_activity"]
    assert staged.loc[0, "das28bsr_score"] == 3.21
    assert staged.loc[0, "das28bsr_score_text"] == "3,21"


def test_stage_table_gives_one_reading_per_filled_joint_cell(stage: Stage) -> None:
    second = CONSULTATION | {"id_x": "c2", "hand_left_1": "n/a", "hand_left_10": "120", "wrist_left": "-5"}
    readings = stage("consultations", CONSULTATION, second)["readings"]
    assert list(readings) == SCHEMAS["readings"].names
    assert readings["row_key"].tolist() == [
        "2026-11-21/consultations.csv:2:hand_left_1",
        "2026-11-21/consultations.csv:2:hand_left_10",
        "2026-11-21/consultations.csv:3:hand_left_1",
        "2026-11-21/consultations.csv:3:hand_left_10",
        "2026-11-21/consultations.csv:3:wrist_left",
    ]
    assert readings["reading_percent_text"].tolist() == ["12.5", "0", "n/a", "120", "-5"]
    assert readings["reading_percent"].tolist() == pytest.approx([12.5, 0, np.nan, 120, -5], nan_ok=True)
    assert readings["id_x"].tolist() == ["c1", "c1", "c2", "c2", "c2"]


def test_stage_table_of_a_header_gives_tables_without_rows(stage: Stage) -> None:
    staged = stage("consultations")
    for table in ("consultations", "readings"):
        assert staged[table].empty
        assert list(staged[table]) == SCHEMAS[table].names
        pa.Table.from_pandas(staged[table], schema=SCHEMAS[table], preserve_index=False)


def test_stage_table_accepts_columns_without_values(stage: Stage) -> None:
    staged = stage("consultations", {"id_x": "c1"})
    assert staged["readings"].empty
    table = pa.Table.from_pandas(staged["consultations"], schema=SCHEMAS["consultations"], preserve_index=False)
    assert table["rau_score"].null_count == 1


def test_stage_table_adds_measures_that_were_not_delivered(stage: Stage) -> None:
    staged = stage("disease_activity", ACTIVITY | {"esr": "12"})["disease_activity"]
    assert list(staged) == SCHEMAS["disease_activity"].names
    assert staged.loc[0, "esr"] == 12
    assert staged[["crp", "crp_text", "swollen_28"]].isna().all(axis=None)
    assert staged.loc[0, "row_key"] == "2026-11-21/disease_activity.csv:2"


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("12.5", 12.5), ("12,5", 12.5), ("-5", -5), ("+3", 3), (".5", 0.5), ("7,", 7), ("007", 7)],
)
def test_parse_numbers_parses_plain_decimals(text: str, number: float) -> None:
    assert parse_numbers(pd.Series([text], dtype="str"))[0] == number


@pytest.mark.parametrize(
    "text",
    ["n/a", "NA", "NaN", "NULL", ".", "1e3", "12%", "1.234,5", "1 2", "0x1F", "inf", "12-15", "<5", "٣", "9" * 400],
)
def test_parse_numbers_of_other_text_is_nan(text: str) -> None:
    assert np.isnan(parse_numbers(pd.Series([text], dtype="str"))[0])


@given(st.floats(-1e6, 1e6).map(lambda value: round(value, 4)))
def test_parse_numbers_restores_a_number_from_its_text(value: float) -> None:
    text = as_text(value)
    assert text is not None
    for written in (text, text.replace(".", ",")):
        assert parse_numbers(pd.Series([written], dtype="str"))[0] == value


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20T00:00:00", "2026-11-20 00:00:00", "2026-11-20T00:00:00.000"]
)
def test_parse_dates_parses_iso_dates(text: str) -> None:
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
def test_parse_dates_of_other_text_is_none(text: str) -> None:
    assert parse_dates(pd.Series([text], dtype="str"))[0] is None


def test_parse_dates_keeps_implausible_dates_for_validation() -> None:
    assert parse_dates(pd.Series(["9999-12-31", "0001-01-01"], dtype="str")).tolist() == [date.max, date.min]
