"""Converts delivered text tables to staged tables: adds typed values, and turns joint columns into readings.

A cell that cannot be parsed keeps its text and has no value; validation quarantines its row.
"""

import re
from datetime import date

import pandas as pd

from scoring import contract
from scoring.clinical import joints
from scoring.landing.schema import SCHEMAS

# At most 15 digits before the decimal point: a longer number is an identifier in the wrong column.
_NUMBER = r"[+-]?(?:[0-9]{1,15}(?:[.,][0-9]*)?|[.,][0-9]+)"
_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")


def stage_table(dataset: str, text: pd.DataFrame, *, source_file: str, batch_date: date) -> dict[str, pd.DataFrame]:
    """Return the staged tables of a delivered table, a text frame of `readers.read_table`.

    Returns:
        Frames by name of the staged table, with the columns of `schema.SCHEMAS`: consultations and readings, or
        disease_activity. Optional columns that were not delivered are empty.
    """
    frame = text.copy()
    frame["source_file"] = source_file
    frame["batch_date"] = pd.Series(batch_date, index=frame.index, dtype=object)
    frame["row_key"] = source_file + ":" + frame["row_number"].astype("str")
    for column in contract.COLUMNS[dataset]:
        if column.type == "text" or column.name in joints.COLUMNS:
            continue
        texts = text[column.name] if column.name in text else pd.Series(None, index=text.index, dtype="str")
        frame[f"{column.name}_text"] = texts
        frame[column.name] = parse_dates(texts) if column.type == "date" else parse_numbers(texts)
    staged = {dataset: frame[SCHEMAS[dataset].names]}
    if dataset == "consultations":
        staged["readings"] = _readings(frame)
    return staged


def _readings(consultations: pd.DataFrame) -> pd.DataFrame:
    """Turn the joint columns into one row per reading; a joint without a reading has no row."""
    id_columns = ["source_file", "row_number", "batch_date", "row_key", "id_x", "patient_id", "sop_iuid"]
    delivered = [column for column in joints.COLUMNS if column in consultations]
    readings = (
        consultations[[*id_columns, *delivered]]
        .reset_index(names="row")
        .melt(id_vars=["row", *id_columns], value_vars=delivered, var_name="joint", value_name="reading_percent_text")
        .dropna(subset="reading_percent_text")
        .sort_values("row", kind="stable")
        .reset_index(drop=True)
    )
    readings["row_key"] = readings["row_key"].astype("str") + ":" + readings["joint"].astype("str")
    readings["reading_percent"] = parse_numbers(readings["reading_percent_text"])
    staged: pd.DataFrame = readings[SCHEMAS["readings"].names]
    return staged


def parse_numbers(texts: pd.Series) -> pd.Series:
    """Parse plain decimal numbers with point or comma; other text ("1e3", "12%", "n/a", "1.234,5") becomes NaN."""
    plain = texts.where(texts.str.fullmatch(_NUMBER).fillna(False).astype(bool))
    return plain.str.replace(",", ".", regex=False).astype("float64")


def parse_dates(texts: pd.Series) -> pd.Series:
    """Parse ISO dates with or without a time of midnight; other text, such as a day-first date, becomes None."""
    parsed = {text: _parse_date(text) for text in texts.dropna().unique()}
    return pd.Series([parsed.get(text) for text in texts], index=texts.index, dtype=object)


def _parse_date(text: str) -> date | None:
    found = _ISO_DATE.fullmatch(text)
    if not found:
        return None
    try:
        return date.fromisoformat(found[1])
    except ValueError:
        return None
