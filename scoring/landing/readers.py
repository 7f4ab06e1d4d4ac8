"""Reads delivered tables as text, with the columns of the landing contract.

A file that cannot be split into rows and columns stops the run, with the line to check.
"""

import codecs
import csv
import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scoring import contract
from scoring.errors import BadInput

log = logging.getLogger(__name__)

# Names of columns that identify a patient, as in German and English exports.
_IDENTIFYING_COLUMN = re.compile(
    r"((first|last|given|family|full|patient)_)?name|surname|(vor|nach|familien)name"
    r"|birth_?date|date_of_birth|birthday|dob|geburts(datum|tag)|geb_datum"
    r"|address|street|adresse|strasse|(tele)?phone|telefon|e_?mail"
    r"|ahv(_nr|_number)?|ssn|insurance_number|versichertennummer"
)

_HEADER_WITHIN = 65536
_DELIMITERS = (",", ";", "\t", "|")


class TextTable(NamedTuple):
    """Column names as delivered, and the cells of each row with its row number."""

    header: Sequence[str]
    rows: Iterable[tuple[int, Sequence[str | None]]]


def read_table(data: bytes, *, dataset: str, source_file: str) -> pd.DataFrame:
    """Read a delivered table as text.

    A CSV file may use comma, semicolon, tab or bar as delimiter, any line ending, and the encodings UTF-8 (with or
    without BOM), UTF-16 with BOM or Windows-1252. Its columns may be in any order and letter case. Unknown columns are
    ignored; only their number is logged, because the first line of a file without header contains patient data.
    Blank lines are skipped but counted. A row with more or fewer fields than the header keeps its row number, and all
    its cells are missing: which value belongs to which column cannot be known.

    The suffix `.parquet` of `source_file` selects Parquet instead.

    Returns:
        A frame of text with the delivered columns of the contract and `row_number`: the first line of the row as in an
        editor, the header being line 1. Blank cells are missing.

    Raises:
        BadInput: The file is empty or damaged, has no header, lacks a required column or has a column twice. The
            message quotes nothing from the file except column names of the contract.
    """
    is_parquet = source_file.lower().endswith(".parquet")
    table = _parquet_table(data, source_file) if is_parquet else _csv_table(data, dataset, source_file)
    return text_frame(table, dataset=dataset, source_file=source_file)


def text_frame(table: TextTable, *, dataset: str, source_file: str) -> pd.DataFrame:
    """Select the columns of a dataset from a table of any source; result and errors are those of `read_table`."""
    width = len(table.header)
    positions = _column_positions(table.header, dataset, source_file)
    numbers: list[int] = []
    cells: list[list[str | None]] = []
    malformed: list[int] = []
    for number, row in table.rows:
        fits = len(row) == width or (len(row) > width and not any(row[width:]))
        if not fits:
            malformed.append(number)
        numbers.append(number)
        cells.append([((row[at] or "").strip() or None) if fits else None for at in positions.values()])
    if malformed:
        first = ",".join(map(str, malformed[:5]))
        log.warning("malformed_rows file=%s rows=%d first_lines=%s", source_file, len(malformed), first)
    frame = pd.DataFrame(cells, columns=list(positions), dtype="str")
    frame.insert(0, "row_number", np.array(numbers, dtype=np.int64))
    return frame


def as_text(value: Any) -> str | None:
    """Convert a typed value of a Parquet file or database to text as in a CSV export, without loss."""
    if value is None or value != value:  # noqa: PLR0124 - NaN, of float and Decimal alike
        return None
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _column_positions(header: Sequence[str], dataset: str, source_file: str) -> dict[str, int]:
    """Return the position of each known column, in the order of the contract.

    Unknown names are counted but never quoted: in a file without header they are patient data.
    """
    names = [_column_name(name) for name in header]
    required = contract.column_names(dataset, required=True)
    known = [column.name for column in contract.COLUMNS[dataset] if column.name in names]
    n_unknown = sum(1 for name in names if name and name not in known)
    if not known:
        raise BadInput(
            f"{source_file} has no header: none of the {n_unknown} fields in its first line is a column name. Export "
            f"it with column names in the first line ({', '.join(required[:3])}, ...)."
        )
    missing = [column for column in required if column not in known]
    if missing:
        raise BadInput(
            f"{source_file} has no column {', '.join(missing)}. Add it to the export, or restore its name. Known "
            f"columns in the file: {', '.join(known)}. Number of unknown columns: {n_unknown}."
        )
    repeated = [column for column in known if names.count(column) > 1]
    if repeated:
        raise BadInput(f"{source_file} has the column {', '.join(repeated)} more than once. Export it once.")
    identifying = sorted(name for name in set(names) if _IDENTIFYING_COLUMN.fullmatch(name))
    if identifying:
        # These names come from the pattern, so they contain no patient data.
        log.warning("identifying_columns_ignored file=%s columns=%s", source_file, ",".join(identifying))
    if n_unknown:
        log.info("unknown_columns_ignored file=%s columns=%d", source_file, n_unknown)
    return {column: names.index(column) for column in known}


def _column_name(name: str) -> str:
    return "_".join(name.lower().split())


def _csv_table(data: bytes, dataset: str, source_file: str) -> TextTable:
    text = _decode_text(data, source_file)
    rows = _numbered_rows(text, _delimiter(text, dataset), source_file)
    filled = ((number, row) for number, row in rows if any(cell.strip() for cell in row))
    _, header = next(filled, (0, []))
    if header and header[0].lower().startswith("sep="):
        _, header = next(filled, (0, []))
    if not header:
        raise BadInput(f"{source_file} is empty. Export it again; a table without rows still needs a header.")
    while len(header) > 1 and not header[-1].strip():
        header = header[:-1]
    return TextTable(header, filled)


def _decode_text(data: bytes, source_file: str) -> str:
    # Exports that are not UTF-8 are usually Windows-1252, which leaves five bytes undefined. Latin-1 decodes any byte.
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "cp1252", "latin-1"):
        with suppress(UnicodeDecodeError):
            text = data.decode(encoding)
            if "\0" in text:
                break
            return text
    raise BadInput(f"{source_file} is not a text file. Export it as CSV in UTF-8, not as a spreadsheet.")


def _delimiter(text: str, dataset: str) -> str:
    """Return the delimiter that splits the header into the most columns of the contract."""
    known = {column.name for column in contract.COLUMNS[dataset]}
    lines = [line for line in text[:_HEADER_WITHIN].splitlines() if line.strip()][:2]

    def n_known(delimiter: str) -> int:
        fields = (map(_column_name, line.replace('"', "").split(delimiter)) for line in lines)
        return max((len(known.intersection(names)) for names in fields), default=0)

    return max(_DELIMITERS, key=n_known)


def _numbered_rows(text: str, delimiter: str, source_file: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    first_line = 1
    try:
        for row in reader:
            yield first_line, row
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{source_file}, line {first_line}: a quoted field is not closed correctly ({error}). Correct the quotes "
            "in the row that begins at this line."
        ) from error


def _parquet_table(data: bytes, source_file: str) -> TextTable:
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{source_file} is not a readable Parquet file ({error}). Export it again.") from error
    columns = [[as_text(value) for value in column.to_pylist()] for column in table.columns]
    # Rows are numbered as in a CSV file, with the header in line 1.
    return TextTable(table.column_names, enumerate(zip(*columns, strict=True), start=2))
