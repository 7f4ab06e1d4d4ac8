"""Numbers, dates and names as the reports show them."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final

import pandas as pd

from scoring.clinical import joints

SPACE: Final = "\N{NARROW NO-BREAK SPACE}"


DASH: Final = "\N{EN DASH}"


_DATASETS: Final = {
    "images": ("joint image", "joint images"),
    "consultations": ("consultation", "consultations"),
    "readings": ("joint reading", "joint readings"),
    "disease_activity": ("disease activity record", "disease activity records"),
}


def thousands(n: float) -> str:
    """A count with separators; a dash for a missing one."""
    return DASH if pd.isna(n) else f"{int(n):,}"


def percent(share: float, digits: int = 1) -> str:
    """A share of 1 as percent, "<0.1 %" instead of a rounded zero."""
    if share and share < 0.5 * 10 ** -(digits + 2):
        return f"<{10**-digits:g}{SPACE}%"
    return f"{100 * share:.{digits}f}{SPACE}%"


def signed(value: float) -> str:
    """A correlation with two decimals and a true minus sign."""
    return DASH if pd.isna(value) else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def long_date(day: date) -> str:
    """Such as "Saturday 21 November 2026"."""
    return f"{day:%A} {day.day} {day:%B %Y}"


def moment(at: datetime) -> str:
    """A time to the second with its zone."""
    return f"{at:%Y-%m-%d %H:%M:%S %Z}".rstrip()


def span(elapsed: timedelta) -> str:
    """A duration in its two largest units."""
    seconds = round(elapsed.total_seconds())
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{SPACE}h {minutes:02d}{SPACE}min"
    return f"{minutes}{SPACE}min {seconds:02d}{SPACE}s" if minutes else f"{seconds}{SPACE}s"


def joint_term(column: str) -> str:
    """The clinician's name of a joint: "left PIP5", "right thumb IP", "left great toe IP", "left wrist"."""
    joint = joints.joint_by_column(column)
    name = joint.name
    if name == "IP1":
        name = "thumb IP" if joint.limb == "hand" else "great toe IP"
    return f"{joint.side} {name}"


def counted(n: float, dataset: str) -> str:
    """A number of rows with the dataset's word: "1 joint image", "12 consultations"."""
    singular, plural = _DATASETS.get(dataset, (f"{dataset} row", f"{dataset} rows"))
    return f"{thousands(n)} {singular if n == 1 else plural}"


def _joined(parts: Iterable[str]) -> str:
    *head, last = parts
    return f"{', '.join(head)} and {last}" if head else last
