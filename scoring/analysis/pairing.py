"""What belongs together in time: the visit nearest to a radiograph, and a patient's activity summed over a span of days.

Nothing here multiplies rows: a radiograph gets one visit or none.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.analysis.correlation import Floats

DAYS_PER_YEAR = 365.25
LONGEST_GAP_DAYS = 365.25
"""Activity between two visits further apart than this is unknown, not a straight line."""

# Patient and day as one number that sorts by patient, then day. Days before or after, of any registry, stay within it.
_SPAN = 10_000_000

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """One value a patient and day, sorted by both.

    Attributes:
        patient: Number of the patient, (n,).
        day: Days since some origin, whole, (n,).
        value: Without NaN, (n,).
    """

    patient: Codes
    day: Codes
    value: Floats

    @property
    def key(self) -> Codes:
        """Patient and day as one rising number."""
        return key(self.patient, self.day)


def key(patient: Codes, day: Codes) -> Codes:
    """Patient and day as one number that sorts by patient, then by day."""
    return patient * _SPAN + day


def nearest(series: Series, patient: Codes, day: Codes, earliest: int, latest: int) -> Codes:
    """The place in a series of the value nearest to each patient's day, within a window around it.

    Args:
        series: The values to choose from.
        patient: Whose, (m,).
        day: Around which day, (m,).
        earliest: First day of the window, relative to that day; negative if before.
        latest: Last day of it.

    Returns:
        Places, (m,); -1 where nothing lies in the window. Of two that are as near the earlier one.
    """
    known, asked = series.key, key(patient, day)
    absent = np.full(len(asked), -1)
    before, after = absent, absent
    if len(known) and earliest <= 0:
        last = np.searchsorted(known, asked + min(latest, 0), side="right") - 1
        before = np.where((last >= 0) & (known[last] >= asked + earliest), last, -1)
    if len(known) and latest > 0:
        first = np.minimum(np.searchsorted(known, asked + max(earliest, 1), side="left"), len(known) - 1)
        inside = (known[first] >= asked + max(earliest, 1)) & (known[first] <= asked + latest)
        after = np.where(inside, first, -1)
    if not len(known):
        return absent
    nearer = (after >= 0) & ((before < 0) | (known[after] - asked < asked - known[before]))
    return np.where(nearer, after, before)


def summed(series: Series, patient: Codes, start: Floats, end: Floats) -> Floats:
    """A patient's values summed over time from one day to another: the area under the line that joins the visits.

    Args:
        series: The values.
        patient: Whose, (m,).
        start: First day, (m,); need not be a visit's.
        end: Last day, not before it, (m,).

    Returns:
        Value times years, (m,); NaN where the first or the last day lies outside the patient's visits, or where two
        visits between them are more than a year apart.
    """
    if len(series.value) < 2:
        return np.full(len(patient), np.nan)
    width = np.diff(series.day).astype(np.float64)
    joined = np.diff(series.patient) == 0
    area = np.append(0.0, np.cumsum(np.where(joined, width * (series.value[:-1] + series.value[1:]) / 2, 0.0)))
    too_long = np.append(0, np.cumsum(joined & (width > LONGEST_GAP_DAYS)))
    slope = np.append(np.diff(series.value) / np.where(joined, width, np.inf), 0.0)

    def until(day: Floats) -> tuple[Codes, Floats]:
        """The last visit not after a day, and the area from the very first visit to that day."""
        place = np.searchsorted(series.key, patient * _SPAN + day, side="right") - 1
        past = day - series.day[place]
        return place, area[place] + past * (series.value[place] + slope[place] * past / 2)

    (first, area_before), (last, area_until) = until(start), until(end)
    at_visit = series.day[last] == end
    # The segment that the last day lies in counts, unless the day is that of the visit where the segment begins.
    touched = np.where(at_visit, last, np.minimum(last + 1, len(series.day) - 1))
    known = (
        (first >= 0)
        & (series.patient[first] == patient)
        & (series.patient[last] == patient)
        & (series.patient[touched] == patient)
        & (at_visit | (touched > last))
        & (too_long[touched] == too_long[first])
    )
    return np.where(known, (area_until - area_before) / DAYS_PER_YEAR, np.nan)
