"""Tables as hospitals send them -> text frames -> staged frames with typed values beside the text.

Two things are kept apart. A file that cannot be taken apart into rows and columns stops the night, with the line to
look at. A cell that cannot be understood stays as text without a value, for validation to quarantine.
"""

import csv
import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scoring import contract
from scoring.clinical.joints import COLUMNS
from scoring.contract import MEASURES, column_names
from scoring.errors import BadInput
from scoring.landing.schema import CONSULTATIONS, DISEASE_ACTIVITY, READINGS

logger = logging.getLogger(__name__)

# Columns that tell who a patient is, as German and English exports name them.
IDENTIFYING_COLUMNS = frozenset(
    (
        "name",
        "first_name",
        "last_name",
        "surname",
        "given_name",
        "family_name",
        "full_name",
        "patient_name",
        "vorname",
        "nachname",
        "familienname",
        "birth_date",
        "birthdate",
        "date_of_birth",
        "birthday",
        "dob",
        "geburtsdatum",
        "geburtstag",
        "geb_datum",
        "address",
        "street",
        "adresse",
        "strasse",
        "phone",
        "telephone",
        "telefon",
        "email",
        "e_mail",
        "ahv",
        "ahv_nr",
        "ahv_number",
        "ssn",
        "insurance_number",
        "versichertennummer",
    )
)

# Column names, and the numbered rows under them.
_Table = tuple[Sequence[str], Iterable[tuple[int, Sequence[str | None]]]]

_HEADER_LIES_WITHIN = 65536
_DELIMITERS = (",", ";", "\t", "|")
# Up to 15 digits before the point: more are an identifier in the wrong column.
_NUMBER = r"[+-]?(?:[0-9]{1,15}(?:[.,][0-9]*)?|[.,][0-9]+)"
_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")


def read_table(data: bytes, *, dataset: str, source_file: str) -> pd.DataFrame:
    """Read one landed table as text.

    CSV may be separated by comma, semicolon, tab or bar, be UTF-8 (with or without BOM), UTF-16 with BOM or
    Windows-1252, end its lines in any way, and have its columns in any order and letter case. Unknown columns are
    ignored; only their number is logged, because the first line of a file without header is a patient's.
    Blank lines are skipped but counted. A row with more or fewer fields than the header keeps its place with all cells
    missing: which of its values belongs to which column cannot be known.

    Args:
        data: The whole file.
        dataset: "consultations" or "disease_activity".
        source_file: Name of the file in messages; `.parquet` at its end means Parquet.

    Returns:
        A frame of text (missing = nothing but blanks in the cell) with the dataset's columns, as far as present, and
        `row_number`: the line a row begins on as an editor counts it, the header being line 1.

    Raises:
        BadInput: The file is empty, damaged, has no header, lacks a required column or has one twice. The message
            quotes nothing of the file but column names of the contract.
    """
    if not data:
        raise _empty(source_file)
    is_parquet = source_file.lower().endswith(".parquet")
    header, rows = _parquet_rows(data, source_file) if is_parquet else _csv_rows(data, dataset, source_file)
    return text_frame(header, rows, dataset=dataset, source_file=source_file)


def text_frame(
    header: Sequence[str], rows: Iterable[tuple[int, Sequence[str | None]]], *, dataset: str, source_file: str
) -> pd.DataFrame:
    """Pick a dataset's columns from numbered rows of text, wherever the rows come from.

    Args:
        header: Column names as delivered.
        rows: Row number and cells of each row; a row whose cells do not match the header gets none.
        dataset: "consultations" or "disease_activity".
        source_file: Name of the file or query in messages.

    Returns:
        As `read_table`.

    Raises:
        BadInput: A required column is missing, all of them are, or a known one is there twice.
    """
    position = _positions(header, dataset, source_file)
    numbers: list[int] = []
    cells: dict[str, list[str | None]] = {column: [] for column in position}
    misshapen: list[int] = []
    for number, row in rows:
        fits = len(row) == len(header) or (len(row) > len(header) and not any(row[len(header) :]))
        if not fits:
            misshapen.append(number)
        numbers.append(number)
        for column, at in position.items():
            text = (row[at] or "").strip() if fits else ""
            cells[column].append(text or None)
    if misshapen:
        logger.warning(
            "rows do not fit the header file=%s rows=%d first_lines=%s", source_file, len(misshapen), misshapen[:5]
        )
    frame = pd.DataFrame({column: pd.Series(texts, dtype="str") for column, texts in cells.items()})
    frame.insert(0, "row_number", np.array(numbers, dtype=np.int64))
    return frame


def stage_consultations(text: pd.DataFrame, *, source_file: str, batch_date: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give consultations their types, and their joint columns the long form: one row a joint that was read.

    Args:
        text: Text frame of `read_table`.
        source_file: Where it came from, relative to the landing folder.
        batch_date: Date of the night's folder.

    Returns:
        Frames with the columns of `schema.CONSULTATIONS` and `schema.READINGS`.
    """
    consultations = _with_origin(text, source_file, batch_date)
    for column in ("date_x", "date_y"):
        consultations[f"{column}_text"] = consultations[column]
        consultations[column] = parse_dates(consultations[column])
    consultations["rau_score_text"] = consultations["rau_score"]
    consultations["rau_score"] = parse_numbers(consultations["rau_score"])

    joints = [column for column in COLUMNS if column in text]
    of_the_row = ["source_file", "row_number", "batch_date", "row_key", "id_x", "patient_id", "sop_iuid"]
    readings = (
        consultations[[*of_the_row, *joints]]
        .reset_index(names="row")
        .melt(
            id_vars=["row", *of_the_row],
            value_vars=joints,
            var_name="joint",
            value_name="erosion_text",
        )
        .dropna(subset="erosion_text")
        .sort_values("row", kind="stable")
        .reset_index(drop=True)
    )
    readings["row_key"] = readings["row_key"].astype("str") + ":" + readings["joint"].astype("str")
    readings["reading_percent"] = parse_numbers(readings["erosion_text"])
    return consultations[CONSULTATIONS.names], readings[READINGS.names]


def stage_disease_activity(text: pd.DataFrame, *, source_file: str, batch_date: date) -> pd.DataFrame:
    """Give disease activity its types; optional measures that were not delivered are columns without values.

    Args:
        text: Text frame of `read_table`.
        source_file: Where it came from, relative to the landing folder.
        batch_date: Date of the night's folder.

    Returns:
        A frame with the columns of `schema.DISEASE_ACTIVITY`.
    """
    activity = _with_origin(text, source_file, batch_date)
    activity["date_text"] = activity["date"]
    activity["date"] = parse_dates(activity["date"])
    for measure in MEASURES:
        texts = activity[measure] if measure in text else pd.Series(None, index=activity.index, dtype="str")
        activity[f"{measure}_text"] = texts
        activity[measure] = parse_numbers(texts)
    staged: pd.DataFrame = activity[DISEASE_ACTIVITY.names]
    return staged


def parse_numbers(texts: pd.Series) -> pd.Series:
    """Read plain decimal numbers with point or comma; anything else ("1e3", "12%", "n/a", "1.234,5") is NaN."""
    plain = texts.where(texts.str.fullmatch(_NUMBER).fillna(False).astype(bool))
    return plain.str.replace(",", ".", regex=False).astype("float64")


def parse_dates(texts: pd.Series) -> pd.Series:
    """Read ISO dates, alone or at midnight; anything else, day-first dates above all, is None."""
    known = {text: _parse_date(text) for text in texts.dropna().unique()}
    return pd.Series([known.get(text) for text in texts], index=texts.index, dtype=object)


def as_text(value: Any) -> str | None:
    """Write a typed value of a Parquet file or a database the way a registry would write it in CSV, losslessly."""
    if value is None or value != value:  # noqa: PLR0124 - NaN, of float and Decimal alike
        return None
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _empty(source_file: str) -> BadInput:
    return BadInput(f"{source_file} is empty. Have it exported again; a night without rows still has the header.")


def _parse_date(text: str) -> date | None:
    found = _ISO_DATE.fullmatch(text)
    if not found:
        return None
    try:
        return date.fromisoformat(found[1])
    except ValueError:
        return None


def _with_origin(text: pd.DataFrame, source_file: str, batch_date: date) -> pd.DataFrame:
    frame = text.copy()
    frame["source_file"] = source_file
    frame["batch_date"] = pd.Series(batch_date, index=frame.index, dtype=object)
    frame["row_key"] = source_file + ":" + frame["row_number"].astype("str")
    return frame


def _and_others(n: int) -> str:
    """Columns by their number: a name that the contract does not know may be a patient's value."""
    return "" if not n else f" and {n} column{'s' if n > 1 else ''} of another name"


def _positions(header: Sequence[str], dataset: str, source_file: str) -> dict[str, int]:
    """Where each known column stands, in the order of the contract."""
    names = [_column_name(name) for name in header]
    required, optional = column_names(dataset, required=True), column_names(dataset, required=False)
    known = [column for column in (*required, *optional) if column in names]
    # Names that the contract does not know are counted, never quoted: without a header they are a patient's values.
    n_others = sum(1 for name in names if name and name not in known)
    if not known:
        raise BadInput(
            f"{source_file} has no header: none of the {n_others} fields of its first line is the name of a column. "
            f"Have it exported with column names in the first line ({', '.join(required[:3])}, ...)."
        )
    missing = [column for column in required if column not in known]
    if missing:
        raise BadInput(
            f"{source_file} has no column {', '.join(missing)}. Add it to the export, or give it back the name that "
            f"it had; found were {', '.join(known)}{_and_others(n_others)}."
        )
    twice = [column for column in known if names.count(column) > 1]
    if twice:
        raise BadInput(f"{source_file} has the column {', '.join(twice)} more than once. Leave one in the export.")
    identifying = sorted(IDENTIFYING_COLUMNS.intersection(names))
    if identifying:
        # These are our own words, so they may be quoted.
        logger.warning(
            "columns that tell who a patient is file=%s columns=%s: ignored, have the export leave them out",
            source_file,
            ",".join(identifying),
        )
    if n_others:
        logger.info("columns ignored file=%s columns=%d", source_file, n_others)
    return {column: names.index(column) for column in known}


def _column_name(name: str) -> str:
    return "_".join(name.lower().split())


def _csv_rows(data: bytes, dataset: str, source_file: str) -> _Table:
    text = _decode_text(data, source_file)
    rows = _numbered_rows(text, _delimiter(text, dataset), source_file)
    filled = ((number, row) for number, row in rows if any(cell.strip() for cell in row))
    _, header = next(filled, (0, []))
    if header and header[0].lower().startswith("sep="):
        _, header = next(filled, (0, []))
    if not header:
        raise _empty(source_file)
    while len(header) > 1 and not header[-1].strip():
        header = header[:-1]
    return header, filled


def _decode_text(data: bytes, source_file: str) -> str:
    # Latin-1 reads any byte; Windows-1252 is what is nearly always meant, but leaves five bytes undefined.
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encodings = ("utf-16",) if utf16 else ("utf-8-sig", "cp1252", "latin-1")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
        break
    raise BadInput(f"{source_file} is not a text file. Export it as CSV (not as a spreadsheet) in UTF-8.")


def _delimiter(text: str, dataset: str) -> str:
    """The delimiter under which the header has most of the columns that the contract names."""
    known = {column.name for column in contract.COLUMNS[dataset]}
    lines = [line for line in text[:_HEADER_LIES_WITHIN].splitlines() if line.strip()][:2]

    def recognised(delimiter: str) -> int:
        return max(
            (len(known.intersection(map(_column_name, line.replace('"', "").split(delimiter)))) for line in lines),
            default=0,
        )

    return max(_DELIMITERS, key=recognised)


def _numbered_rows(text: str, delimiter: str, source_file: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for row in reader:
            yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{source_file}, line {begins}: a quoted field is not closed properly ({error}). Correct the quotes in "
            "the row that begins there."
        ) from error


def _parquet_rows(data: bytes, source_file: str) -> _Table:
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{source_file} is no readable Parquet file ({error}). Have it exported again.") from error
    columns = [[as_text(value) for value in column.to_pylist()] for column in table.columns]
    # Counted as in a CSV of the same rows, with the header in line 1.
    return table.column_names, enumerate(zip(*columns, strict=True), start=2)
