"""Observations behind the associations: radiographs or intervals between them, with damage, activity and strata."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.analysis.frames import DAYS_PER_YEAR, Codes, Floats, to_floats
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

_SEVERITIES = ("below_10", "10_to_30", "30_and_more")


@dataclass(frozen=True)
class Observations:
    """Observations of one relation, sorted by patient.

    Attributes:
        patient: Code of the patient, (n,).
        year: Calendar year, (n,).
        severity: Index of the stratum of severity, (n,); -1 for none.
        values: Named values, (n,) each.
    """

    patient: Codes
    year: Codes
    severity: Codes
    values: dict[str, Floats]

    def select(self, mask: npt.NDArray[np.bool_]) -> "Observations":
        """Return the observations selected by a mask, (n,)."""
        values = {name: values[mask] for name, values in self.values.items()}
        return Observations(self.patient[mask], self.year[mask], self.severity[mask], values)

    def strata(self, kinds: Iterable[str]) -> "Iterator[tuple[str, str, Observations]]":
        """Yield kind, name and observations of each stratum."""
        for kind in kinds:
            if kind == "overall":
                yield kind, "all", self
            elif kind == "year":
                for year in np.unique(self.year):
                    yield kind, str(year), self.select(self.year == year)
            else:
                for code, name in enumerate(_SEVERITIES):
                    yield kind, name, self.select(self.severity == code)


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
        order, series = _series(radiographs, patient, damage)
        n_scored = to_floats(radiographs["n_scored"])[order] if damage == "predicted_rau" else np.zeros(len(order))
        return cls(series, _radiographs(series), _valid_intervals(series, n_scored))

    def nearest_activity(self, activity: Series, windows: Iterable[str]) -> dict[str, Floats]:
        """Return the activity nearest to each radiograph in each level window; NaN where the window is empty."""
        padded = np.append(activity.value, np.nan)
        return {
            window: padded[nearest(activity, self.series.patient, self.series.day, *LEVEL_WINDOWS[window])]
            for window in windows
        }

    def levels(self, near: dict[str, Floats]) -> Observations:
        """Return the radiographs with the activity nearest to them in each window."""
        return replace(self.radiographs, values=self.radiographs.values | near)

    def changes(self, near: Floats) -> Observations:
        """Return the intervals with the change of the activity nearest to their radiographs, where it is known."""
        observed = self._between({"activity": near[self.intervals + 1] - near[self.intervals]})
        return observed.select(np.isfinite(observed.values["activity"]))

    def progressions(self, activity: Series) -> Observations:
        """Return the intervals with the activity summed over each progression window."""
        patient, start, end = self.series.patient[self.intervals], self.intervals, self.intervals + 1
        sums = {}
        for window, shift in PROGRESSION_WINDOWS.items():
            day = self.series.day.astype(np.float64) + shift * DAYS_PER_YEAR
            sums[window] = summed(activity, patient, day[start], day[end])
        return self._between(sums)

    def _between(self, values: dict[str, Floats]) -> Observations:
        """Return the intervals: year of the last radiograph; no severity if they begin with the patient's first one."""
        rows, start, end = self.radiographs, self.intervals, self.intervals + 1
        severity = np.where(rows.severity[start] < 0, -1, rows.severity[end])
        gained = {name: rows.values[name][end] - rows.values[name][start] for name in ("damage", "years")}
        return Observations(rows.patient[end], rows.year[end], severity, gained | values)


def activity_series(visits: pd.DataFrame, patient: Codes, activity: str) -> Series:
    """Return one measure of activity by patient and day, without missing values."""
    return _series(visits, patient, activity)[1]


def _series(frame: pd.DataFrame, patient: Codes, name: str) -> tuple[Codes, Series]:
    """Return the rows with a value in order of patient and day, and their series."""
    value = to_floats(frame[name])
    day = pd.to_datetime(frame["visit_date"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    known = np.flatnonzero(np.isfinite(value))
    order = known[np.lexsort((day[known], patient[known]))]
    return order, Series(patient[order], day[order], value[order])


def _radiographs(series: Series) -> Observations:
    is_first = np.append(True, np.diff(series.patient) != 0)[: len(series.day)]
    first = np.flatnonzero(is_first)[np.cumsum(is_first) - 1]
    severity = np.where(is_first, -1, np.searchsorted(SEVERITY_BOUNDS, series.value[first], side="right"))
    year = series.day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    years = (series.day - series.day[first]) / DAYS_PER_YEAR
    return Observations(series.patient, year, severity, {"damage": series.value, "years": years})


def _valid_intervals(series: Series, n_scored: Floats) -> Codes:
    """Return the indices of radiographs that begin an interval of valid length with equal n_scored at both ends."""
    start = np.arange(max(len(series.day) - 1, 0))
    years = (series.day[start + 1] - series.day[start]) / DAYS_PER_YEAR
    valid = (series.patient[start + 1] == series.patient[start]) & (n_scored[start + 1] == n_scored[start])
    valid &= (years >= SHORTEST_INTERVAL_YEARS) & (years <= LONGEST_INTERVAL_YEARS)
    return np.asarray(start[valid], dtype=np.int64)
