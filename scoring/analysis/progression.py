"""The course of a patient's Rau score: where it will stand at a next radiograph, with an interval, from the radiographs so far.

A growth model with random effects (Laird, Ware, Biometrics 1982;38:963-74): each patient has a level and a yearly
progression of his own, drawn from those of all patients, departs from that line by a random walk, because disease has
better and worse years, and is read with error:

    score(t) = level + progression * t + walk(t) + error,    t in years since the patient's first radiograph

What is known of a patient's level and progression (empirical Bayes) is a compromise between his own radiographs and those of
all patients: one radiograph says little, ten say much. Without the walk it is the usual mixed model; with nothing but a walk
it carries the last value forward. Three things are added, because scores of damage are no normal variables:

- **Scale.** Patients with more damage progress and vary more. The model holds on z = 2 y / (1 + sqrt(1 + y / c)), a
  square root far above c points and the score itself far below, after Anscombe (Biometrika 1948;35:246-54). The c of
  `SHIFTS` that best forecasts last radiographs is taken; with c = inf the scale is that of the score.
- **Floor.** Erosions do not heal: the centre of a forecast is not below the patient's estimated score today.
- **Interval.** Quantiles are those that the standardised errors had when each patient's last radiograph was forecast from the
  radiographs before, so they hold for skewed and heavy-tailed errors, as in split conformal prediction (Vovk, Gammerman,
  Shafer, Algorithmic learning in a random world, 2005). The few variances are learnt from the same patients; the
  back-test, which forecasts unseen ones, shows what that costs.

The error that a prediction says of itself (its interval) enters as a known variance on top of the one that is
estimated. statsmodels' MixedLM knows neither a variance of single values nor a walk; where both models apply, the two
give the same estimates, and a test says so.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from scoring.clinical.rau import HUMAN_SDC, MAX_SCORE

Floats: TypeAlias = npt.NDArray[np.float64]

MIN_PATIENTS = 30
"""Patients with two or more radiographs; with fewer there is no model: their errors would not bear a 90 % interval."""

SHIFTS = (4.0, 16.0, 64.0, np.inf)
LEVELS = np.arange(1, 20) / 20
"""Quantiles that make up a forecast; the first and the last bound the 90 % interval."""

DAYS_PER_YEAR = 365.25

# The variances are a handful of numbers: a thousand patients know them to a few percent, and a night has seconds.
_MAX_FITTED = 1000
_INPUT = ("patient_id", "visit_date", "rau", "rau_sd", "n_scored")


@dataclass(frozen=True)
class Growth:
    """A growth model with random effects, on the scale of its shift.

    Attributes:
        shift: c of the scale, points.
        level: Mean level at the first radiograph.
        progression: Mean progression a year.
        covariance: Of level and progression between patients, (2, 2).
        walk: Variance that a patient's departure from his line gains in a year.
        error: Variance of one reading, beyond what the reading says of itself.
    """

    shift: float
    level: float
    progression: float
    covariance: Floats
    walk: float
    error: float


@dataclass(frozen=True)
class Course:
    """A growth model with the errors that it made.

    Attributes:
        growth: The model.
        residuals: Standardised errors in forecasting the last radiograph of each patient with two or more, ascending.
        n_patients: Patients behind it, those with one radiograph included.
    """

    growth: Growth
    residuals: Floats
    n_patients: int


@dataclass(frozen=True)
class Predictive:
    """Distribution of one score of each patient: centre + spread * error on a scale, the error drawn from a sample.

    Attributes:
        shift: c of the scale, points.
        centre: On the scale, (n,).
        spread: On the scale, (n,).
        errors: The sample, standardised, ascending, (m,).
    """

    shift: float
    centre: Floats
    spread: Floats
    errors: Floats

    def quantiles(self) -> Floats:
        """Points at `LEVELS`, (n, 19)."""
        error = np.quantile(self.errors, LEVELS, method="weibull")
        return to_points(self.centre[:, np.newaxis] + self.spread[:, np.newaxis] * error, self.shift)

    def share_above(self, points: Floats) -> Floats:
        """Probability that the score is above some points, (n,) to (n,).

        As a rank among the errors and this one: never quite 0 or 1, which no number of errors could prove. But no score
        is above the highest one that there is.
        """
        error = (to_scale(points, self.shift) - self.centre) / self.spread
        n_above = len(self.errors) - np.searchsorted(self.errors, error, side="right")
        return np.where(points < MAX_SCORE, (n_above + 0.5) / (len(self.errors) + 1), 0.0)


class TooFewPatients(ValueError):
    """Too few patients have two radiographs or more for a model of the course."""


def fit(radiographs: pd.DataFrame) -> Course:
    """Fit the model of the course, on the scale that forecasts last radiographs best.

    Args:
        radiographs: One row a patient and date: patient_id, visit_date, rau (0-190 points), rau_sd (standard deviation of its
            known error, points; missing is 0), n_scored (missing if unknown).

    Raises:
        TooFewPatients: Fewer than `MIN_PATIENTS` patients have two radiographs or more.
        ValueError: A column is missing, a radiograph has no score, or it is there twice.
    """
    radiographs = checked(radiographs)
    before, last = without_last(radiographs)
    if len(last) < MIN_PATIENTS:
        raise TooFewPatients(
            f"{len(last)} patients have two radiographs or more, and the model of the course needs {MIN_PATIENTS}"
        )
    sample = radiographs[radiographs["patient_id"].isin(_sampled(radiographs["patient_id"].unique()))]
    truth = last["rau"].to_numpy()
    found = []
    for shift in SHIFTS:
        growth = fit_growth(sample, shift)
        centre, spread, _ = _predict(growth, before, last)
        course = Course(
            growth, np.sort((to_scale(truth, shift) - centre) / spread), radiographs["patient_id"].nunique()
        )
        found.append((crps(predict(course, before, last).quantiles(), truth).mean(), course))
    return min(found, key=lambda candidate: candidate[0])[1]


def forecast(course: Course, radiographs: pd.DataFrame, dates: "pd.Series | None" = None) -> pd.DataFrame:
    """Forecast the score of one radiograph of each patient.

    Args:
        course: The model.
        radiographs: As for `fit`; radiographs of patients that the model has never seen will do.
        dates: Date of the radiograph to forecast, by patient_id; default: a year after the last one.

    Returns:
        One row a patient, in the order of their ids: patient_id, last_visit, forecast_date, n_radiographs, n_scored (of the
        last radiograph), rau_last (its score), rau_level (the patient's estimated score that day, cleared of error),
        rau_expected, rau_median, rau_q05, rau_q95 (the score that a radiograph of that date would be given, points, with its
        90 % interval) and p_beyond_sdc: the probability that it is more than 6.3 points above rau_last.

    Raises:
        ValueError: A column is missing, a radiograph has no score, or it is there twice; or a patient has no date, or one
            that lies before the last radiograph.
    """
    radiographs = checked(radiographs)
    last = radiographs.groupby("patient_id").tail(1).set_index("patient_id")
    when = last["visit_date"] + pd.DateOffset(years=1) if dates is None else pd.to_datetime(dates).reindex(last.index)
    if not (when >= last["visit_date"]).all():
        raise ValueError("a patient has no date to forecast, or one that lies before the last radiograph")
    # The next radiograph is taken to be read as surely as the last one.
    asked = last.assign(visit_date=when).reset_index()
    centre, spread, level = _predict(course.growth, radiographs, asked)
    predicted = Predictive(course.growth.shift, centre, spread, course.residuals)
    quantiles = predicted.quantiles()
    return pd.DataFrame(
        {
            "patient_id": asked["patient_id"],
            "last_visit": last["visit_date"].dt.date.to_numpy(),
            "forecast_date": asked["visit_date"].dt.date,
            "n_radiographs": radiographs.groupby("patient_id").size().to_numpy(),
            "n_scored": asked["n_scored"],
            "rau_last": asked["rau"],
            "rau_level": to_points(level, course.growth.shift),
            "rau_expected": quantiles.mean(axis=1),
            "rau_median": quantiles[:, len(LEVELS) // 2],
            "rau_q05": quantiles[:, 0],
            "rau_q95": quantiles[:, -1],
            "p_beyond_sdc": predicted.share_above(asked["rau"].to_numpy() + HUMAN_SDC),
        }
    )


def predict(course: Course, radiographs: pd.DataFrame, target: pd.DataFrame) -> Predictive:
    """The score of one later radiograph of each patient.

    Args:
        course: The model.
        radiographs: As `checked` returns them.
        target: patient_id, visit_date, rau_sd; one row a patient of `radiographs`, in the order of their ids.
    """
    centre, spread, _ = _predict(course.growth, radiographs, target)
    return Predictive(course.growth.shift, centre, spread, course.residuals)


def without_last(radiographs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The radiographs of patients with two or more, without their last one, and that one; both by patient and date."""
    followed = radiographs[radiographs.groupby("patient_id")["visit_date"].transform("size") > 1]
    is_last = ~followed.duplicated("patient_id", keep="last")
    return followed[~is_last].reset_index(drop=True), followed[is_last].reset_index(drop=True)


def crps(quantiles: Floats, truth: Floats) -> Floats:
    """Continuous ranked probability score from quantiles at `LEVELS`: twice the mean pinball loss, in points.

    Gneiting, Raftery, J Am Stat Assoc 2007;102:359-78. Of a forecast without spread it is the absolute error.

    Args:
        quantiles: (n, 19).
        truth: (n,).

    Returns:
        (n,), smaller is better.
    """
    error = truth[:, np.newaxis] - quantiles
    return np.asarray(2 * np.maximum(LEVELS * error, (LEVELS - 1) * error).mean(axis=1), dtype=np.float64)


def fit_growth(radiographs: pd.DataFrame, shift: float, *, with_walk: bool = True) -> Growth:
    """Fit the growth model by restricted maximum likelihood (Patterson, Thompson, Biometrika 1971;58:545-54).

    Args:
        radiographs: As `checked` returns them.
        shift: c of the scale, points; inf for the score itself.
        with_walk: Whether patients depart from their lines; without, it is the usual mixed model.
    """
    batches = [_Batch.of(radiographs, rows, shift) for rows in _rows_by_number_of_radiographs(radiographs)]
    scaled = np.concatenate([batch.scaled.ravel() for batch in batches])
    within = np.concatenate([np.diff(batch.scaled).ravel() for batch in batches]).var() / 2
    unit = np.sqrt(scaled.var()) + 1e-3
    start = np.array([0.0, 0.0, np.log(0.05), np.log(0.05), 0.5 * np.log(within / unit**2 + 1e-4)])
    best = optimize.minimize(
        _deviance,
        start,
        args=(batches, unit),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-6, 3), (-3, 3), (-9, 3), (-9, 3) if with_walk else (-30, -30), (-7, 3)],
        options={"maxiter": 200},
    )
    parts = _Parts.of(best.x, unit)
    level, progression = _fixed_effects(parts, batches)[0]
    return Growth(shift, float(level), float(progression), parts.covariance, parts.walk, parts.error)


@dataclass(frozen=True)
class _Parts:
    """The variances of the model, from the numbers that the optimiser moves: logarithms of standard deviations."""

    root: Floats
    walk: float
    error: float

    @classmethod
    def of(cls, logs: Floats, unit: float) -> "_Parts":
        root = unit * np.array([[np.exp(logs[0]), 0.0], [logs[1], np.exp(logs[2])]])
        return cls(root, float(unit**2 * np.exp(2 * logs[3])), float(unit**2 * np.exp(2 * logs[4])))

    @property
    def covariance(self) -> Floats:
        return np.asarray(self.root @ self.root.T, dtype=np.float64)


@dataclass(frozen=True)
class _Batch:
    """Patients with equally many radiographs, stacked: years since the first radiograph, score and known variance, (p, n)."""

    years: Floats
    scaled: Floats
    known: Floats

    @classmethod
    def of(cls, radiographs: pd.DataFrame, rows: npt.NDArray[np.int64], shift: float) -> "_Batch":
        """The radiographs of these rows, (p, n), on the scale."""
        date = radiographs["visit_date"].to_numpy().astype("datetime64[D]")[rows]
        rau = radiographs["rau"].to_numpy(dtype=np.float64)[rows]
        sd = radiographs["rau_sd"].to_numpy(dtype=np.float64)[rows]
        return cls(_years(date, date[:, :1]), to_scale(rau, shift), _scaled_variance(rau, sd, shift))

    @cached_property
    def design(self) -> Floats:
        """What level and progression are multiplied with, (p, n, 2)."""
        return np.stack([np.ones_like(self.years), self.years], axis=-1)

    @cached_property
    def shared(self) -> Floats:
        """Years of the walk that two radiographs of a patient have in common, (p, n, n)."""
        return np.minimum(self.years[:, :, np.newaxis], self.years[:, np.newaxis, :])

    def covariance(self, parts: "_Parts | Growth") -> Floats:
        """Of a patient's scores with each other, (p, n, n)."""
        covariance = self.design @ parts.covariance @ self.design.mT + parts.walk * self.shared
        own = np.arange(self.years.shape[1])
        covariance[:, own, own] += parts.error + self.known
        return np.asarray(covariance, dtype=np.float64)

    def covariance_with(self, growth: Growth, at: Floats) -> Floats:
        """Of a patient's scores, cleared of error, with his score at one moment, years (p,): (p, n)."""
        then = np.stack([np.ones_like(at), at], axis=-1)[..., np.newaxis]
        walked = growth.walk * np.minimum(self.years, at[:, np.newaxis])
        return np.asarray((self.design @ growth.covariance @ then)[..., 0] + walked, dtype=np.float64)


def _fixed_effects(parts: _Parts, batches: list[_Batch]) -> tuple[Floats, Floats, list[Floats]]:
    """Mean level and progression (generalised least squares), their precision, and each batch's inverse covariance."""
    inverses: list[Floats] = [np.asarray(np.linalg.inv(batch.covariance(parts)), dtype=np.float64) for batch in batches]
    precision, moment = np.zeros((2, 2)), np.zeros(2)
    for batch, inverse in zip(batches, inverses, strict=True):
        weighted = inverse @ batch.design
        precision += np.einsum("pni,pnj->ij", batch.design, weighted)
        moment += np.einsum("pni,pn->i", weighted, batch.scaled)
    return np.asarray(np.linalg.solve(precision, moment), dtype=np.float64), precision, inverses


def _deviance(logs: Floats, batches: list[_Batch], unit: float) -> tuple[float, Floats]:
    """Minus the restricted log-likelihood (constants left out) and its gradient by the optimiser's numbers.

    With V = X G X' + walk * min(t, t') + error + known, a = V^-1 (z - X b) and A = sum of X' V^-1 X, the derivative by
    a direction D of V is half of tr(V^-1 D) - a' D a - tr(A^-1 X' V^-1 D V^-1 X), summed over patients.
    """
    parts = _Parts.of(logs, unit)
    mean, precision, inverses = _fixed_effects(parts, batches)
    uncertain = np.linalg.inv(precision)
    value = 0.5 * np.linalg.slogdet(precision)[1]
    by_covariance, by_walk, by_error = np.zeros((2, 2)), 0.0, 0.0
    for batch, inverse in zip(batches, inverses, strict=True):
        residual = batch.scaled - batch.design @ mean
        pull = (inverse @ residual[..., np.newaxis])[..., 0]
        value += 0.5 * ((residual * pull).sum() - np.linalg.slogdet(inverse)[1].sum())
        weighted = inverse @ batch.design
        own = batch.design.mT @ weighted
        along = (batch.design * pull[..., np.newaxis]).sum(axis=1)
        by_covariance += 0.5 * (own.sum(axis=0) - along.T @ along - (own @ uncertain @ own).sum(axis=0))
        # Of each patient V^-1 - a a' - V^-1 X A^-1 X' V^-1, which every direction is multiplied with.
        left = inverse - pull[:, :, np.newaxis] * pull[:, np.newaxis, :] - weighted @ uncertain @ weighted.mT
        by_walk += 0.5 * float((left * batch.shared).sum())
        by_error += 0.5 * float(np.trace(left, axis1=1, axis2=2).sum())
    by_root = 2 * by_covariance @ parts.root
    gradient = np.array(
        [
            by_root[0, 0] * parts.root[0, 0],
            by_root[1, 0] * unit,
            by_root[1, 1] * parts.root[1, 1],
            by_walk * 2 * parts.walk,
            by_error * 2 * parts.error,
        ]
    )
    return float(value), gradient


def _predict(growth: Growth, radiographs: pd.DataFrame, target: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Centre and spread of one later score of each patient, and the estimated score at his last radiograph, on the scale.

    Args:
        growth: The model.
        radiographs: Sorted by patient and date.
        target: patient_id, visit_date, rau_sd; one row a patient, in the same order of patients.
    """
    centre, variance, level = np.empty(len(target)), np.empty(len(target)), np.empty(len(target))
    when = target["visit_date"].to_numpy().astype("datetime64[D]")
    first = radiographs["visit_date"].to_numpy().astype("datetime64[D]")
    sd = target["rau_sd"].to_numpy(dtype=np.float64)
    number = np.cumsum(~radiographs.duplicated("patient_id").to_numpy()) - 1
    effects = np.array([growth.level, growth.progression])
    (of_level, both), (_, of_progression) = growth.covariance
    for rows in _rows_by_number_of_radiographs(radiographs):
        batch, patient = _Batch.of(radiographs, rows, growth.shift), number[rows[:, 0]]
        today, at = batch.years[:, -1], _years(when[patient], first[rows[:, 0]])
        now, then = batch.covariance_with(growth, today), batch.covariance_with(growth, at)
        residual = batch.scaled - batch.design @ effects
        solved = np.linalg.solve(batch.covariance(growth), np.stack([residual, then], axis=-1))
        level[patient] = effects[0] + effects[1] * today + (now * solved[..., 0]).sum(axis=1)
        line = effects[0] + effects[1] * at + (then * solved[..., 0]).sum(axis=1)
        centre[patient] = np.maximum(line, level[patient])
        unseen = of_level + 2 * both * at + of_progression * at**2 + growth.walk * at
        error = growth.error + _scaled_variance(to_points(centre[patient], growth.shift), sd[patient], growth.shift)
        variance[patient] = unseen - (then * solved[..., 1]).sum(axis=1) + error
    return centre, np.sqrt(variance), level


def to_scale(rau: Floats, shift: float) -> Floats:
    """Points to the scale with this shift."""
    return np.asarray(2 * rau / (1 + np.sqrt(1 + rau / shift)), dtype=np.float64)


def _scaled_variance(rau: Floats, sd: Floats, shift: float) -> Floats:
    """A standard deviation in points as variance on the scale, by its slope."""
    return np.asarray(sd**2 / (1 + rau / shift), dtype=np.float64)


def to_points(scaled: Floats, shift: float) -> Floats:
    """The scale to points, within 0 to 190."""
    floored = np.maximum(scaled, 0)
    return np.asarray(np.minimum(floored + floored**2 / (4 * shift), MAX_SCORE), dtype=np.float64)


def _years(later: "npt.NDArray[np.datetime64]", earlier: "npt.NDArray[np.datetime64]") -> Floats:
    return np.asarray((later - earlier).astype(np.int64) / DAYS_PER_YEAR, dtype=np.float64)


def _rows_by_number_of_radiographs(radiographs: pd.DataFrame) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of the patients with 1, 2, ... radiographs, (p, n) each; the radiographs are sorted by patient."""
    first = np.flatnonzero(~radiographs.duplicated("patient_id").to_numpy())
    n_radiographs = np.diff(np.append(first, len(radiographs)))
    for n in np.unique(n_radiographs):
        yield first[n_radiographs == n][:, np.newaxis] + np.arange(n)


def _sampled(patient_ids: npt.ArrayLike) -> list[str]:
    """The patients to fit to: by a hash of the id, so that one more patient does not exchange all others."""
    return sorted((str(name) for name in np.asarray(patient_ids)), key=lambda name: (zlib.crc32(name.encode()), name))[
        :_MAX_FITTED
    ]


def checked(radiographs: pd.DataFrame) -> pd.DataFrame:
    """The radiographs as `predict` and `fit_growth` want them: typed, by patient and date; raises as `fit`."""
    missing = [name for name in _INPUT if name not in radiographs.columns]
    if missing:
        raise ValueError(f"radiographs lack the columns {', '.join(missing)}")
    for name in ("patient_id", "visit_date", "rau"):
        if radiographs[name].isna().any():
            raise ValueError(f"{int(radiographs[name].isna().sum())} radiographs have no {name}; leave them out")
    repeated = int(radiographs.duplicated(["patient_id", "visit_date"]).sum())
    if repeated:
        raise ValueError(f"{repeated} radiographs are there more than once (patient_id, visit_date); correct the join")
    typed = radiographs[list(_INPUT)].assign(
        visit_date=pd.to_datetime(radiographs["visit_date"]),
        rau=radiographs["rau"].astype("float64"),
        rau_sd=radiographs["rau_sd"].astype("float64").fillna(0.0),
    )
    return typed.sort_values(["patient_id", "visit_date"], ignore_index=True)
