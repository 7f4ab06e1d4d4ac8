"""Numbers, dates and names as the reports show them."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

import pandas as pd

from scoring.clinical import joints

SPACE: Final = "\N{NARROW NO-BREAK SPACE}"
DASH: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"

DATASET_NAMES: Final = {
    "images": ("joint image", "joint images"),
    "consultations": ("consultation", "consultations"),
    "readings": ("joint reading", "joint readings"),
    "disease_activity": ("disease activity record", "disease activity records"),
}
"""Singular and plural of a row of each dataset, in the order of the reports."""


def thousands(n: float) -> str:
    """Return a count with thousands separators; a dash if it is missing."""
    return DASH if pd.isna(n) else f"{int(n):,}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share (0 to 1) in percent; a small share as "<0.1 %" instead of zero."""
    if share and share < 0.5 * 10 ** -(digits + 2):
        return f"<{10**-digits:g}{SPACE}%"
    return f"{100 * share:.{digits}f}{SPACE}%"


def signed(value: float, digits: int = 2) -> str:
    """Return a number with a true minus sign; a dash if it is missing."""
    return DASH if pd.isna(value) else f"{value:.{digits}f}".replace("-", MINUS)


def long_date(day: date) -> str:
    """Return a date such as "Saturday 21 November 2026"."""
    return f"{day:%A} {day.day} {day:%B %Y}"


def moment(at: datetime) -> str:
    """Return a time to the second with its time zone."""
    return f"{at:%Y-%m-%d %H:%M:%S %Z}".rstrip()


def span(elapsed: timedelta) -> str:
    """Return a duration in its two largest units, such as "2 min 17 s"."""
    seconds = round(elapsed.total_seconds())
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{SPACE}h {minutes:02d}{SPACE}min"
    return f"{minutes}{SPACE}min {seconds:02d}{SPACE}s" if minutes else f"{seconds}{SPACE}s"


def joint_term(column: str) -> str:
    """Return the clinical name of a joint: "left PIP5", "right thumb IP", "left great toe IP", "left wrist"."""
    joint = joints.joint_by_column(column)
    name = joint.name
    if name == "IP1":
        name = "thumb IP" if joint.limb == "hand" else "great toe IP"
    return f"{joint.side} {name}"


def noun(n: float, dataset: str) -> str:
    """Return the name of n rows of a dataset: "joint image", "consultations"."""
    singular, plural = DATASET_NAMES.get(dataset, (f"{dataset} row", f"{dataset} rows"))
    return singular if n == 1 else plural


def counted(n: float, dataset: str) -> str:
    """Return a number of rows with the name of their dataset: "1 joint image", "12 consultations"."""
    return f"{thousands(n)} {noun(n, dataset)}"


def joined(parts: Iterable[str]) -> str:
    """Return at least one part as a list in a sentence: "a, b and c"."""
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last
