"""Growth model of the Rau score with random effects (Laird, Ware, Biometrics 1982;38:963-74).

Each patient has a level and a yearly progression, drawn from their distribution over all patients. The score departs
from this line by a random walk, because a disease has better and worse years, and is read with error:

    score(t) = level + progression * t + walk(t) + error,    t in years since the patient's first radiograph

The estimate for a patient (empirical Bayes) is a compromise between their own radiographs and those of all patients.
Without the walk this is the usual mixed model; with the walk alone it carries the last value forward.

The model applies on a scale, because patients with more damage progress faster and vary more:

    z = 2 y / (1 + sqrt(1 + y / c)),    y in points

This is a square root far above c points and the score itself far below (after Anscombe, Biometrika 1948;35:246-54).
With c = inf the scale is that of the score.

The uncertainty of a predicted score, known from its interval, is added as a known variance to the estimated one.
`MixedLM` of statsmodels supports neither known variances nor a walk. Where both models apply, a test shows that they
give the same estimates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import optimize

from scoring.analysis.frames import DAYS_PER_YEAR, Codes, Floats, to_days
from scoring.clinical.rau import MAX_SCORE


@dataclass(frozen=True)
class GrowthModel:
    """A fitted growth model, on the scale of its shift.

    Attributes:
        shift: c of the scale, points.
        level: Mean level at the first radiograph.
        progression: Mean progression per year.
        covariance: Covariance of level and progression between patients, (2, 2).
        walk: Variance that the departure from the line gains per year.
        error: Variance of one reading, in addition to its known variance.
    """

    shift: float
    level: float
    progression: float
    covariance: Floats
    walk: float
    error: float

    def predict(self, radiographs: pd.DataFrame, target: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        """Predict one later score of each patient, on the scale.

        Erosions do not heal, so the predicted score is never below the estimated score at the last radiograph.
        `radiographs` are as for `fit_growth`; `target` has patient_id, visit_date and rau_sd, one row per patient in
        the same order.

        Returns:
            Centre and standard deviation of the later score, and the estimated score at the last radiograph, (n,) each.
        """
        centre, variance, level = np.empty((3, len(target)))
        target_day, day = to_days(target["visit_date"]), to_days(radiographs["visit_date"])
        sd = target["rau_sd"].to_numpy(dtype=np.float64)
        number = np.cumsum(~radiographs.duplicated("patient_id").to_numpy()) - 1
        effects = np.array([self.level, self.progression])
        (level_variance, level_progression), (_, progression_variance) = self.covariance
        for rows in _rows_by_count(radiographs):
            group, patient = _Group.of(radiographs, rows, self.shift), number[rows[:, 0]]
            last, at = group.years[:, -1], (target_day[patient] - day[rows[:, 0]]) / DAYS_PER_YEAR
            with_last, with_target = group.covariance_with(self, last), group.covariance_with(self, at)
            residual = group.scaled - group.design @ effects
            solved = np.linalg.solve(group.covariance(self), np.stack([residual, with_target], axis=-1))
            level[patient] = effects[0] + effects[1] * last + (with_last * solved[..., 0]).sum(axis=1)
            line = effects[0] + effects[1] * at + (with_target * solved[..., 0]).sum(axis=1)
            centre[patient] = np.maximum(line, level[patient])
            prior = level_variance + 2 * level_progression * at + progression_variance * at**2 + self.walk * at
            error = self.error + _scaled_variance(to_points(centre[patient], self.shift), sd[patient], self.shift)
            variance[patient] = prior - (with_target * solved[..., 1]).sum(axis=1) + error
        return centre, np.sqrt(variance), level


def fit_growth(radiographs: pd.DataFrame, shift: float, *, with_walk: bool = True) -> GrowthModel:
    """Fit the growth model by restricted maximum likelihood (Patterson, Thompson, Biometrika 1971;58:545-54).

    `radiographs` has patient_id, visit_date, rau and rau_sd, sorted by patient and date; `shift` is c of the scale in
    points, inf for the score itself. Without the walk, this is the usual mixed model.
    """
    groups = [_Group.of(radiographs, rows, shift) for rows in _rows_by_count(radiographs)]
    scaled = np.concatenate([group.scaled.ravel() for group in groups])
    within = np.concatenate([np.diff(group.scaled).ravel() for group in groups]).var() / 2
    unit = np.sqrt(scaled.var()) + 1e-3
    start = np.array([0.0, 0.0, np.log(0.05), np.log(0.05), 0.5 * np.log(within / unit**2 + 1e-4)])
    best = optimize.minimize(
        _deviance,
        start,
        args=(groups, unit),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-6, 3), (-3, 3), (-9, 3), (-9, 3) if with_walk else (-30, -30), (-7, 3)],
        options={"maxiter": 200},
    )
    variances = _Variances.of(best.x, unit)
    level, progression = _fixed_effects(variances, groups)[0]
    return GrowthModel(shift, float(level), float(progression), variances.covariance, variances.walk, variances.error)


def to_scale(rau: Floats, shift: float) -> Floats:
    """Convert points to the scale with this shift."""
    return np.asarray(2 * rau / (1 + np.sqrt(1 + rau / shift)), dtype=np.float64)


def to_points(scaled: Floats, shift: float) -> Floats:
    """Convert the scale to points, within 0 to 190."""
    floored = np.maximum(scaled, 0)
    return np.asarray(np.minimum(floored + floored**2 / (4 * shift), MAX_SCORE), dtype=np.float64)


def _scaled_variance(rau: Floats, sd: Floats, shift: float) -> Floats:
    """Convert a standard deviation in points to a variance on the scale, by the slope of the scale."""
    return np.asarray(sd**2 / (1 + rau / shift), dtype=np.float64)


@dataclass(frozen=True)
class _Variances:
    """Variances of the model, from the parameters of the optimiser: logarithms of standard deviations."""

    root: Floats
    walk: float
    error: float

    @classmethod
    def of(cls, logs: Floats, unit: float) -> "_Variances":
        root = unit * np.array([[np.exp(logs[0]), 0.0], [logs[1], np.exp(logs[2])]])
        return cls(root, float(unit**2 * np.exp(2 * logs[3])), float(unit**2 * np.exp(2 * logs[4])))

    @property
    def covariance(self) -> Floats:
        return np.asarray(self.root @ self.root.T, dtype=np.float64)


@dataclass(frozen=True)
class _Group:
    """Patients with equal numbers of radiographs: years since the first one, scores and known variances, (p, n)."""

    years: Floats
    scaled: Floats
    known_variance: Floats

    @classmethod
    def of(cls, radiographs: pd.DataFrame, rows: Codes, shift: float) -> "_Group":
        """Return the radiographs of these rows, (p, n), on the scale."""
        day = to_days(radiographs["visit_date"])[rows]
        rau = radiographs["rau"].to_numpy(dtype=np.float64)[rows]
        sd = radiographs["rau_sd"].to_numpy(dtype=np.float64)[rows]
        return cls((day - day[:, :1]) / DAYS_PER_YEAR, to_scale(rau, shift), _scaled_variance(rau, sd, shift))

    @cached_property
    def design(self) -> Floats:
        """Factors of level and progression, (p, n, 2)."""
        return np.stack([np.ones_like(self.years), self.years], axis=-1)

    @cached_property
    def shared_years(self) -> Floats:
        """Years of the walk that two radiographs of a patient share, (p, n, n)."""
        return np.minimum(self.years[:, :, np.newaxis], self.years[:, np.newaxis, :])

    def covariance(self, variances: _Variances | GrowthModel) -> Floats:
        """Return the covariance of the scores of each patient, (p, n, n)."""
        covariance = self.design @ variances.covariance @ self.design.mT + variances.walk * self.shared_years
        diagonal = np.arange(self.years.shape[1])
        covariance[:, diagonal, diagonal] += variances.error + self.known_variance
        return np.asarray(covariance, dtype=np.float64)

    def covariance_with(self, growth: GrowthModel, at: Floats) -> Floats:
        """Return the covariance of the error-free scores of each patient with the score at years (p,), (p, n)."""
        design_at = np.stack([np.ones_like(at), at], axis=-1)[..., np.newaxis]
        walked = growth.walk * np.minimum(self.years, at[:, np.newaxis])
        return np.asarray((self.design @ growth.covariance @ design_at)[..., 0] + walked, dtype=np.float64)


def _rows_by_count(radiographs: pd.DataFrame) -> Iterator[Codes]:
    """Yield the rows of the patients with 1, 2, ... radiographs, (p, n) each; the radiographs are sorted by patient."""
    first = np.flatnonzero(~radiographs.duplicated("patient_id").to_numpy())
    n_radiographs = np.diff(np.append(first, len(radiographs)))
    for n in np.unique(n_radiographs):
        yield first[n_radiographs == n][:, np.newaxis] + np.arange(n)


def _fixed_effects(variances: _Variances, groups: list[_Group]) -> tuple[Floats, Floats, list[Floats]]:
    """Return mean level and progression (generalised least squares), their precision, and inverse covariances."""
    inverses = [np.asarray(np.linalg.inv(group.covariance(variances)), dtype=np.float64) for group in groups]
    precision, moment = np.zeros((2, 2)), np.zeros(2)
    for group, inverse in zip(groups, inverses, strict=True):
        weighted = inverse @ group.design
        precision += np.einsum("pni,pnj->ij", group.design, weighted)
        moment += np.einsum("pni,pn->i", weighted, group.scaled)
    return np.asarray(np.linalg.solve(precision, moment), dtype=np.float64), precision, inverses


def _deviance(logs: Floats, groups: list[_Group], unit: float) -> tuple[float, Floats]:
    """Return minus the restricted log-likelihood, without constants, and its gradient by the optimiser's parameters.

    With V = X G X' + walk * min(t, t') + error + known, a = V^-1 (z - X b) and A = sum of X' V^-1 X, the derivative
    in a direction D of V is half of tr(V^-1 D) - a' D a - tr(A^-1 X' V^-1 D V^-1 X), summed over patients.
    """
    variances = _Variances.of(logs, unit)
    mean, precision, inverses = _fixed_effects(variances, groups)
    inverse_precision = np.linalg.inv(precision)
    value = 0.5 * np.linalg.slogdet(precision)[1]
    by_covariance, by_walk, by_error = np.zeros((2, 2)), 0.0, 0.0
    for group, inverse in zip(groups, inverses, strict=True):
        residual = group.scaled - group.design @ mean
        a = (inverse @ residual[..., np.newaxis])[..., 0]
        value += 0.5 * ((residual * a).sum() - np.linalg.slogdet(inverse)[1].sum())
        weighted = inverse @ group.design
        own = group.design.mT @ weighted
        projected = (group.design * a[..., np.newaxis]).sum(axis=1)
        by_covariance += 0.5 * (own.sum(axis=0) - projected.T @ projected - (own @ inverse_precision @ own).sum(axis=0))
        # V^-1 - a a' - V^-1 X A^-1 X' V^-1 per patient, the factor of every direction.
        factor = inverse - a[:, :, np.newaxis] * a[:, np.newaxis, :] - weighted @ inverse_precision @ weighted.mT
        by_walk += 0.5 * float((factor * group.shared_years).sum())
        by_error += 0.5 * float(np.trace(factor, axis1=1, axis2=2).sum())
    by_root = 2 * by_covariance @ variances.root * [[variances.root[0, 0], 0], [unit, variances.root[1, 1]]]
    by_variance = [2 * by_walk * variances.walk, 2 * by_error * variances.error]
    return float(value), np.append(by_root[np.tril_indices(2)], by_variance)
