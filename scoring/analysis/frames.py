"""Types, units and input checks that the analyses share."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats: TypeAlias = npt.NDArray[np.float64]
Codes: TypeAlias = npt.NDArray[np.int64]

DAYS_PER_YEAR = 365.25


def check_frame(
    name: str,
    frame: pd.DataFrame,
    columns: Iterable[str],
    *,
    required: Sequence[str] = ("patient_id",),
    key: Sequence[str] = ("patient_id", "visit_date"),
    remedy: str = "Correct the join.",
) -> None:
    """Check the columns, required values and keys of a frame.

    `columns` are needed besides `required` (columns without missing values) and `key` (columns that identify a row).
    `name` (of the rows, plural) and `remedy` (what to do about repeated rows) are parts of the error messages.

    Raises:
        ValueError: A column or a required value is missing, or rows have the same key.
    """
    if missing := [column for column in dict.fromkeys([*key, *required, *columns]) if column not in frame.columns]:
        raise ValueError(f"The {name} lack the columns {', '.join(missing)}.")
    for column in required:
        if n_missing := int(frame[column].isna().sum()):
            raise ValueError(f"{name.capitalize()} without {column}: {n_missing}. Exclude them.")
    if n_repeated := int(frame.duplicated(list(key)).sum()):
        raise ValueError(f"Repeated {name} (same {', '.join(key)}): {n_repeated}. {remedy}")


def to_floats(column: pd.Series) -> Floats:
    """Return a column as float64, with NaN for missing values."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def to_days(dates: pd.Series) -> Codes:
    """Return a column of dates as whole days since 1970."""
    return np.asarray(pd.to_datetime(dates).to_numpy().astype("datetime64[D]"), dtype=np.int64)
