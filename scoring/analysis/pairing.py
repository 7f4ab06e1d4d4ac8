"""Matching in time: the visit nearest to a radiograph, and the activity of a patient summed over a period.

No function multiplies rows: a radiograph is matched with one visit or none.
"""

from dataclasses import dataclass

import numpy as np

from scoring.analysis.frames import DAYS_PER_YEAR, Codes, Floats

LONGEST_GAP_DAYS = 365.25
"""Between two visits that are further apart, activity is unknown instead of a straight line."""

# Patient and day are combined in one integer that sorts by patient, then by day. All days are far within this range.
_DAYS_PER_PATIENT = 10_000_000


@dataclass(frozen=True)
class Series:
    """One value per patient and day, sorted by both.

    Attributes:
        patient: Code of the patient, (n,).
        day: Whole days since any origin, (n,).
        value: Values without NaN, (n,).
    """

    patient: Codes
    day: Codes
    value: Floats

    @property
    def key(self) -> Codes:
        """Patient and day as one rising integer, (n,)."""
        return self.patient * _DAYS_PER_PATIENT + self.day


def nearest(series: Series, patient: Codes, day: Codes, earliest: int, latest: int) -> Codes:
    """Find the value of a series nearest to a day of each patient, within a window of days.

    Args:
        series: The values to select from.
        patient: Code of the patient, (m,).
        day: The day, (m,).
        earliest: First day of the window relative to that day; negative for days before.
        latest: Last day of the window.

    Returns:
        Indices into the series, (m,); -1 if the window is empty. Of two equally near values, the earlier one.
    """
    known, wanted = series.key, patient * _DAYS_PER_PATIENT + day
    if not len(known):
        return np.full(len(wanted), -1)
    before = after = np.full(len(wanted), -1)
    if earliest <= 0:
        last = np.searchsorted(known, wanted + min(latest, 0), side="right") - 1
        before = np.where((last >= 0) & (known[last] >= wanted + earliest), last, -1)
    if latest > 0:
        first = np.minimum(np.searchsorted(known, wanted + max(earliest, 1), side="left"), len(known) - 1)
        inside = (known[first] >= wanted + max(earliest, 1)) & (known[first] <= wanted + latest)
        after = np.where(inside, first, -1)
    nearer = (after >= 0) & ((before < 0) | (known[after] - wanted < wanted - known[before]))
    return np.where(nearer, after, before)


def summed(series: Series, patient: Codes, start: Floats, end: Floats) -> Floats:
    """Sum the values of a patient over a period: the area under the straight lines between their visits.

    `patient` (code), `start` (first day) and `end` (last day, not before the first) are (m,); neither day needs to
    be a visit.

    Returns:
        Value times years, (m,); NaN if the period extends beyond the visits of the patient, or if two visits within it
        are more than a year apart.
    """
    if len(series.value) < 2:
        return np.full(len(patient), np.nan)
    width = np.diff(series.day).astype(np.float64)
    joined = np.diff(series.patient) == 0
    area = np.append(0.0, np.cumsum(np.where(joined, width * (series.value[:-1] + series.value[1:]) / 2, 0.0)))
    n_gaps = np.append(0, np.cumsum(joined & (width > LONGEST_GAP_DAYS)))
    slope = np.append(np.diff(series.value) / np.where(joined, width, np.inf), 0.0)

    def area_until(day: Floats) -> tuple[Codes, Floats]:
        """Return the index of the last visit up to a day, and the area from the first visit of all to that day."""
        index = np.searchsorted(series.key, patient * _DAYS_PER_PATIENT + day, side="right") - 1
        since = day - series.day[index]
        return index, area[index] + since * (series.value[index] + slope[index] * since / 2)

    (first, area_before), (last, area_total) = area_until(start), area_until(end)
    at_visit = series.day[last] == end
    # The segment of the last day counts too, unless that day is the visit at which the segment begins.
    touched = np.where(at_visit, last, np.minimum(last + 1, len(series.day) - 1))
    known = (
        (first >= 0)
        & (series.patient[first] == patient)
        & (series.patient[last] == patient)
        & (series.patient[touched] == patient)
        & (at_visit | (touched > last))
        & (n_gaps[touched] == n_gaps[first])
    )
    return np.where(known, (area_total - area_before) / DAYS_PER_YEAR, np.nan)
