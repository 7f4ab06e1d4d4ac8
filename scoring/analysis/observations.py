"""Observations behind the associations: radiographs or intervals between them, with damage, activity and strata.

Observations are named arrays, (n,) each, sorted by patient: patient (code), year (calendar year), severity (index of
the stratum, -1 for none), damage (points of 190), years, and values of activity.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.analysis.frames import DAYS_PER_YEAR, Codes, Floats, to_days, to_floats
from scoring.analysis.pairing import Series, nearest, summed

LEVEL_WINDOWS = {
    "within_90_days": (-90, 90),
    "same_day": (0, 0),
    "1_to_180_days_before": (-180, -1),
    "181_to_365_days_before": (-365, -181),
    "1_to_180_days_after": (1, 180),
    "181_to_365_days_after": (181, 365),
}
"""First and last day of activity relative to the radiograph."""

PRIMARY_WINDOW = "within_90_days"
"""The level window that is used for all strata and for changes."""

PROGRESSION_WINDOWS = {"year_before": -1, "during": 0, "year_after": 1}
"""Shift of the period of activity, in years, relative to the interval between two radiographs."""

SEVERITY_BOUNDS = (10.0, 30.0)
"""Bounds of the strata of severity: Rau score of the first radiograph in points. Set here; none are published."""

STRATA = ("overall", "year", "severity")
SHORTEST_INTERVAL_YEARS, LONGEST_INTERVAL_YEARS = 0.5, 3.0

Observations = dict[str, npt.NDArray[Any]]

_SEVERITIES = ("below_10", "10_to_30", "30_and_more")


@dataclass(frozen=True)
class DamageSeries:
    """Scores of one measure of damage.

    Attributes:
        series: The scores, by patient and day.
        radiographs: One observation per score: damage, and years since the patient's first radiograph. The first
            radiograph itself has no severity.
        intervals: Index of the first radiograph of each valid interval, which ends with the next radiograph.
    """

    series: Series
    radiographs: Observations
    intervals: Codes

    @classmethod
    def from_frame(cls, radiographs: pd.DataFrame, patient: Codes, damage: str) -> "DamageSeries":
        """Prepare one measure of damage; intervals of predicted scores need the same number of scored joints."""
        series, order = to_series(radiographs, patient, damage)
        n_scored = to_floats(radiographs["n_scored"])[order] if damage == "predicted_rau" else np.zeros(len(order))
        return cls(series, _observations(series), _valid_intervals(series, n_scored))

    def nearest_activity(self, activity: Series, windows: Iterable[str]) -> dict[str, Floats]:
        """Return the activity nearest to each radiograph in each level window; NaN where the window is empty."""
        padded = np.append(activity.value, np.nan)
        return {
            window: padded[nearest(activity, self.series.patient, self.series.day, *LEVEL_WINDOWS[window])]
            for window in windows
        }

    def changes(self, near: Floats) -> Observations:
        """Return the intervals with the change of the activity nearest to their radiographs, where it is known."""
        activity = near[self.intervals + 1] - near[self.intervals]
        return select(self._between() | {"activity": activity}, np.isfinite(activity))

    def progressions(self, activity: Series) -> Observations:
        """Return the intervals with the activity summed over each progression window."""
        found = self._between()
        for window, shift in PROGRESSION_WINDOWS.items():
            day = self.series.day.astype(np.float64) + shift * DAYS_PER_YEAR
            found[window] = summed(activity, found["patient"], day[self.intervals], day[self.intervals + 1])
        return found

    def _between(self) -> Observations:
        """Return the intervals: year of the last radiograph; no severity if they begin with the patient's first one."""
        start, end = (select(self.radiographs, self.intervals + step) for step in (0, 1))
        severity = np.where(start["severity"] < 0, -1, end["severity"])
        return end | {"severity": severity} | {name: end[name] - start[name] for name in ("damage", "years")}


def select(observations: Observations, rows: npt.NDArray[Any]) -> Observations:
    """Return the observations selected by a mask, (n,), or by indices."""
    return {name: values[rows] for name, values in observations.items()}


def by_stratum(observations: Observations, kinds: Iterable[str]) -> Iterator[tuple[str, str, Observations]]:
    """Yield kind, name and observations of each stratum."""
    for kind in kinds:
        if kind == "overall":
            yield kind, "all", observations
        elif kind == "year":
            for year in np.unique(observations["year"]):
                yield kind, str(year), select(observations, observations["year"] == year)
        else:
            for code, name in enumerate(_SEVERITIES):
                yield kind, name, select(observations, observations["severity"] == code)


def to_series(frame: pd.DataFrame, patient: Codes, name: str) -> tuple[Series, Codes]:
    """Return a column without missing values as a series, and the rows of the frame behind its values."""
    value, day = to_floats(frame[name]), to_days(frame["visit_date"])
    known = np.flatnonzero(np.isfinite(value))
    order = known[np.lexsort((day[known], patient[known]))]
    return Series(patient[order], day[order], value[order]), order


def _observations(series: Series) -> Observations:
    is_first = np.append(True, np.diff(series.patient) != 0)[: len(series.day)]
    first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    return {
        "patient": series.patient,
        "year": series.day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970,
        "severity": np.where(is_first, -1, np.searchsorted(SEVERITY_BOUNDS, series.value[first], side="right")),
        "damage": series.value,
        "years": (series.day - series.day[first]) / DAYS_PER_YEAR,
    }


def _valid_intervals(series: Series, n_scored: Floats) -> Codes:
    """Return the indices of radiographs that begin an interval of valid length with equal n_scored at both ends."""
    years = np.diff(series.day) / DAYS_PER_YEAR
    valid = (np.diff(series.patient) == 0) & (np.diff(n_scored) == 0)
    return np.flatnonzero(valid & (years >= SHORTEST_INTERVAL_YEARS) & (years <= LONGEST_INTERVAL_YEARS))
