"""A synthetic registry of scores and visits without images, with known relations between damage and disease activity.

The activity of a patient varies around an individual level (an Ornstein-Uhlenbeck process: AR(1) for irregular visits).
It is linear between visits, and DAS28-ESR measures it without error. True damage rises at the rate, in points per year,

    rate of the patient + lead * activity a year ago + during * activity now

and does not depend on later activity. Readings add an error. Four population values are therefore planted: the mean
rate of progression, and the effects of activity a year before, during, and (0) a year after an interval. Correlations
also follow from the model, but come from a very large simulation. Other forms of DAS28 measure activity with error.

The registry tests whether a method finds known relations. It says nothing about patients.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from scoring.errors import InvalidRequest
from scoring.phantom.patients import DAYS_PER_YEAR
from scoring.phantom.seeds import Rng, stream

_FIRST_ENTRY = np.datetime64("2008-01-01")
_ENTRY_SPAN_DAYS = 730
_VISITS_PER_YEAR = 2
# Unrecorded visits: activity must be known a year before the first radiograph and some weeks after the last visit.
_VISITS_BEFORE_ENTRY, _VISITS_AFTER_END = 3, 1
_JITTER_DAYS = 30
_SAME_DAY_RADIOGRAPHS, _RADIOGRAPH_LAG_DAYS, _RADIOGRAPHS_MISSING = 0.7, 45, 0.1

# Intercept, slope on activity, standard deviation of the error, missing share, smallest value of the formula.
_OTHER_FORMS = {
    "das28_esr3": (0.2, 0.95, 0.3, 0.15, 0.16),
    "das28_crp4": (0.1, 0.90, 0.4, 0.15, 0.96),
    "das28_crp3": (0.2, 0.88, 0.5, 0.15, 1.15),
}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Planted:
    """Parameters of the model; docs/explanation/statistics.md has the published figures behind them.

    Attributes:
        activity: Mean DAS28-ESR.
        activity_between: Standard deviation of the patients' levels.
        activity_within: Standard deviation of a patient's visits around the level.
        activity_memory: Years in which the correlation of two visits' deviations falls to 1/e.
        first_damage: Smallest Rau score of a first radiograph, points.
        damage_shape: Shape of the gamma distribution of the first Rau score above that.
        damage_scale: Scale of that distribution, points.
        rate: Mean of the patients' exponentially distributed rates, points per year.
        lead: Points per year and unit of DAS28 a year ago.
        during: Points per year and unit of DAS28 now.
        reader_error: Standard deviation of a reading, points; 6.3 / (1.96 * sqrt 2) by the smallest detectable change.
        model_error: Standard deviation of a predicted score, points.
        stay: Mean stay of a patient in the registry, years (exponential).
    """

    activity: float = 3.6
    activity_between: float = 0.8
    activity_within: float = 0.7
    activity_memory: float = 1.0
    first_damage: float = 8.0
    damage_shape: float = 1.2
    damage_scale: float = 14.0
    rate: float = 0.7
    lead: float = 0.35
    during: float = 0.15
    reader_error: float = 2.27
    model_error: float = 4.0
    stay: float = 25.0

    @property
    def progression(self) -> float:
        """Mean progression in points per year: E[rate] + (lead + during) * E[activity], because activity has no trend.

        Activity is a normal variable with values below 0 set to 0, so its mean is m Phi(m/s) + s phi(m/s).
        """
        spread = float(np.hypot(self.activity_between, self.activity_within))
        standard = self.activity / spread
        mean = self.activity * stats.norm.cdf(standard) + spread * stats.norm.pdf(standard)
        return float(self.rate + (self.lead + self.during) * mean)


@dataclass(frozen=True)
class Followed:
    """Records of the simulated patients.

    Attributes:
        radiographs: One row per radiograph: patient_id, visit_date, reported_rau, predicted_rau (0-190), n_scored (38).
        visits: One row per visit: patient_id, visit_date and four forms of DAS28. All but das28_esr4 may be NaN.
    """

    radiographs: pd.DataFrame
    visits: pd.DataFrame


def simulate_followed(n_patients: int, seed: int, years: int = 10, planted: Planted | None = None) -> Followed:
    """Simulate visits about twice a year and radiographs about once a year, mostly on the day of a visit.

    Patients leave independently of their disease, and radiographs are missing at random. A patient who stays is
    followed for `years`. Patients are drawn together, so a larger registry does not contain the smaller one. The tables
    are ordered by patient and date. Raises InvalidRequest if a number is below 1.
    """
    if n_patients < 1 or years < 1:
        raise InvalidRequest(f"The registry has {n_patients} patients and {years} years. Both must be 1 or more.")
    model = planted or Planted()
    rng = stream(seed, "followed")
    visit_day = _visit_days(rng, n_patients, years)
    activity = _activity(rng, visit_day, model)
    radiograph_day = _radiograph_days(rng, visit_day, years)
    damage = _damage(rng, visit_day, activity, radiograph_day, model)

    entry = _FIRST_ENTRY + rng.integers(0, _ENTRY_SPAN_DAYS, n_patients).astype("timedelta64[D]")
    leaves = rng.exponential(model.stay * DAYS_PER_YEAR, n_patients) + DAYS_PER_YEAR
    numbers = np.array([f"{number:07d}" for number in range(1, n_patients + 1)], dtype=object)

    radiographed = (radiograph_day <= leaves[:, None]) & (rng.random(radiograph_day.shape) >= _RADIOGRAPHS_MISSING)
    radiographs = _rows(numbers, entry, radiograph_day, radiographed)
    for name, error in (("reported_rau", model.reader_error), ("predicted_rau", model.model_error)):
        radiographs[name] = np.clip(damage + rng.normal(0, error, damage.shape), 0, 190)[radiographed]
    radiographs["n_scored"] = 38.0

    attended = (visit_day >= 0) & (visit_day <= leaves[:, None])
    attended[:, -_VISITS_AFTER_END:] = False
    visits = _rows(numbers, entry, visit_day, attended)
    visits["das28_esr4"] = activity[attended]
    for name, (intercept, slope, error, missing, smallest) in _OTHER_FORMS.items():
        measured = intercept + slope * visits["das28_esr4"] + rng.normal(0, error, len(visits))
        visits[name] = np.where(rng.random(len(visits)) < missing, np.nan, np.maximum(measured, smallest))
    return Followed(radiographs, visits)


def _rows(
    numbers: npt.NDArray[np.object_], entry: npt.NDArray[np.datetime64], day: Floats, kept: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    rows, columns = np.nonzero(kept)
    dates = entry[rows] + day[rows, columns].astype("timedelta64[D]")
    return pd.DataFrame({"patient_id": numbers[rows], "visit_date": dates.astype("datetime64[s]")})


def _visit_days(rng: Rng, n_patients: int, years: int) -> Floats:
    """Return days since the first visit, (n_patients, visits), including unrecorded visits."""
    number = np.arange(-_VISITS_BEFORE_ENTRY, years * _VISITS_PER_YEAR + 1 + _VISITS_AFTER_END)
    planned = number * DAYS_PER_YEAR / _VISITS_PER_YEAR
    jitter = rng.integers(-_JITTER_DAYS, _JITTER_DAYS + 1, (n_patients, len(planned)))
    jitter[:, _VISITS_BEFORE_ENTRY] = 0
    return np.asarray(np.rint(planned) + jitter, dtype=np.float64)


def _activity(rng: Rng, day: Floats, model: Planted) -> Floats:
    """Return DAS28-ESR at each visit, (n_patients, visits)."""
    n_patients, n_visits = day.shape
    level = rng.normal(model.activity, model.activity_between, size=(n_patients, 1))
    deviation = np.empty(day.shape)
    deviation[:, 0] = rng.normal(0, model.activity_within, n_patients)
    for visit in range(1, n_visits):
        kept = np.exp(-(day[:, visit] - day[:, visit - 1]) / DAYS_PER_YEAR / model.activity_memory)
        news = model.activity_within * np.sqrt(1 - kept**2) * rng.standard_normal(n_patients)
        deviation[:, visit] = kept * deviation[:, visit - 1] + news
    return np.asarray(np.maximum(level + deviation, 0), dtype=np.float64)


def _radiograph_days(rng: Rng, visit_day: Floats, years: int) -> Floats:
    """Return days of the yearly radiographs, (n_patients, years + 1): on the day of a visit or some weeks from it."""
    at_visit = visit_day[:, _VISITS_BEFORE_ENTRY::_VISITS_PER_YEAR][:, : years + 1]
    lag = rng.integers(-_RADIOGRAPH_LAG_DAYS, _RADIOGRAPH_LAG_DAYS + 1, at_visit.shape)
    return np.asarray(at_visit + np.where(rng.random(at_visit.shape) < _SAME_DAY_RADIOGRAPHS, 0, lag), dtype=np.float64)


def _damage(rng: Rng, visit_day: Floats, activity: Floats, radiograph_day: Floats, model: Planted) -> Floats:
    """Return the true Rau score at each radiograph, (n_patients, radiographs)."""
    n_patients = len(visit_day)
    first = model.first_damage + rng.gamma(model.damage_shape, model.damage_scale, n_patients)
    rate = rng.exponential(model.rate, n_patients)
    year_before = _integral(visit_day, activity, radiograph_day - DAYS_PER_YEAR)
    now = _integral(visit_day, activity, radiograph_day)
    since = radiograph_day - radiograph_day[:, :1]
    damage = first[:, None] + rate[:, None] * since / DAYS_PER_YEAR + model.lead * (year_before - year_before[:, :1])
    return np.asarray(damage + model.during * (now - now[:, :1]), dtype=np.float64)


def _integral(day: Floats, activity: Floats, until: Floats) -> Floats:
    """Return the integral of activity from the first visit to each radiograph, DAS28 times years."""
    width = np.diff(day, axis=1)
    area = np.cumsum(width * (activity[:, :-1] + activity[:, 1:]) / 2, axis=1)
    area = np.hstack([np.zeros((len(day), 1)), area])
    place = (day[:, None, :-1] <= until[:, :, None]).sum(axis=2) - 1
    begin, before = np.take_along_axis(day, place, 1), np.take_along_axis(activity, place, 1)
    slope = np.take_along_axis(np.diff(activity, axis=1) / width, place, 1)
    past = until - begin
    total = np.take_along_axis(area, place, 1) + past * (before + slope * past / 2)
    return np.asarray(total / DAYS_PER_YEAR, dtype=np.float64)
