"""Association of joint damage with disease activity over time.

Four relations, each with observations of its own, so that no observation counts twice:

- level: one per radiograph, with the nearest visit in a window of days (`LEVEL_WINDOWS`);
- change: one per two successive radiographs, with the change of activity between their nearest visits;
- progression: one per two successive radiographs, with the activity summed over this interval and over periods of the
  same length one year before and one year after. Damage cannot follow from later activity, so the year after is a
  control: an effect in it shows that patients differ in something that drives both;
- trend: one per radiograph, damage over the years since the patient's first radiograph.

All intervals allow for several observations per patient: correlations as in `scoring.analysis.correlation`, slopes as
in `scoring.analysis.regression`. Repeated-measures correlation (Bakdash, Marusich, Front Psychol 2017;8:456) is
Pearson's correlation of the deviations from the patient's means. Its interval is clustered too, because the deviations
of one patient are dependent, although its authors assume independence. The mixed model has a random intercept per
patient, adjusts for the years since the first radiograph, and separates effects within patients from effects between
them by the patient's mean (Mundlak, Econometrica 1978;46:69-85).

Each form of DAS28 is analysed separately. With hundreds of estimates, some are far from 0 by chance: `q_value` is the p
value adjusted by Benjamini and Hochberg (J R Stat Soc B 1995;57:289-300) over all of them.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from scoring.analysis.correlation import (
    DAMAGES,
    DAS28_FORMS,
    DECIMALS,
    MIN_PATIENTS,
    UNKNOWN,
    Estimate,
    Rows,
    cluster_correlation,
    rows_of_pairs,
)
from scoring.analysis.frames import Codes, Floats, check_frame
from scoring.analysis.observations import (
    LEVEL_WINDOWS,
    PRIMARY_WINDOW,
    PROGRESSION_WINDOWS,
    STRATA,
    DamageSeries,
    Observations,
    by_stratum,
    select,
    to_series,
)
from scoring.analysis.pairing import Series
from scoring.analysis.regression import cluster_regression, mixed_model

TIME = "time"
"""Value of `activity` for the trend, which relates damage to years."""

COLUMNS = (
    "damage", "activity", "relation", "lag_window", "method", "stratum_kind", "stratum", "estimate", "ci_low",
    "ci_high", "confidence", "p_value", "q_value", "n_observations", "n_patients",
)  # fmt: skip

_Estimates = Iterator[tuple[str, str, Estimate, Codes]]
"""Window, method, estimate, and the patient of each observation behind it."""

_Estimator = Callable[[Observations, str, float], _Estimates]
"""Estimates of one relation from its observations, the kind of stratum and the confidence level."""


def associate(
    radiographs: pd.DataFrame,
    visits: pd.DataFrame,
    *,
    damages: Sequence[str] = DAMAGES,
    activities: Sequence[str] = DAS28_FORMS,
    strata: Sequence[str] = STRATA,
    level_windows: Sequence[str] = tuple(LEVEL_WINDOWS),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Relate each measure of damage to each form of DAS28.

    Args:
        radiographs: One row per patient and day with radiographs: patient_id, visit_date, n_scored (joints behind
            predicted_rau), and the damages, 0-190 points. Missing values are NaN or null.
        visits: One row per patient and day with activity: patient_id, visit_date, and the forms of DAS28.
        damages: Columns of radiographs to analyse.
        activities: Columns of visits to analyse.
        strata: overall; year (calendar year of the radiograph, or of the last radiograph of an interval); severity
            (Rau score of the patient's first radiograph: below 10, up to 30, above. That radiograph itself is excluded,
            because its error would look like a trend).
        level_windows: Keys of `LEVEL_WINDOWS`, including `PRIMARY_WINDOW`. The others are used overall only.
        confidence: Confidence level of the intervals, between 0 and 1.

    Returns:
        One row per estimate with at least one observation; columns as in `COLUMNS`.

        - relation: level, change, progression or trend.
        - lag_window: a key of `LEVEL_WINDOWS` or `PROGRESSION_WINDOWS`, or none.
        - method: pearson; spearman; kendall (only of the level overall in the primary window, because it is slow and
          agrees with spearman); repeated_measures; mixed_within and mixed_between (points per unit of DAS28);
          regression (points per unit of DAS28 that lasts one year, given the other two windows); mixed_model (trend in
          points per year, without a p value because the hypothesis that it is 0 is of no interest).
        - n_observations: number of radiographs (level, trend) or intervals (change, progression).
        - Estimates are NaN with fewer than 5 patients and for constant values.

        An interval between two radiographs counts if it lasts half a year to three years and, for predicted_rau, both
        have the same number of scored joints.

    Raises:
        ValueError: A column is missing, a row has no patient, a patient has two rows for one day (a join that
            multiplies rows makes intervals too narrow), a stratum is unknown, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("The confidence must be between 0 and 1.")
    if unknown := set(strata) - set(STRATA):
        raise ValueError(f"Unknown strata: {', '.join(sorted(unknown))}. Use {', '.join(STRATA)}.")
    check_frame("radiographs", radiographs, (*damages, "n_scored"))
    check_frame("visits", visits, activities)
    patient_ids = pd.concat([radiographs["patient_id"], visits["patient_id"]], ignore_index=True)
    patient, _ = pd.factorize(patient_ids, sort=True)
    n = len(radiographs)
    damage_series = {name: DamageSeries.from_frame(radiographs, patient[:n], name) for name in damages}
    series = {name: to_series(visits, patient[n:], name)[0] for name in activities}

    def rows_of_pair(damage: str, activity: str) -> Rows:
        relations = _relations(damage_series[damage], series.get(activity), level_windows)
        return [
            (damage, activity, relation, window, method, kind, stratum, *found, len(ids), len(np.unique(ids)))
            for relation, observations, estimate in relations
            for kind, stratum, part in by_stratum(observations, strata)
            for window, method, found, ids in estimate(part, kind, confidence)
        ]

    return _table(rows_of_pairs(rows_of_pair, damages, (TIME, *activities)), confidence)


def _relations(
    damage: DamageSeries, activity: Series | None, level_windows: Sequence[str]
) -> list[tuple[str, Observations, _Estimator]]:
    """Return each relation with its observations and estimator; the trend if there is no activity."""
    if activity is None:
        return [("trend", damage.radiographs, _trend)]
    near = damage.nearest_activity(activity, level_windows)
    return [
        ("level", damage.radiographs | near, _level),
        ("change", damage.changes(near[PRIMARY_WINDOW]), _change),
        ("progression", damage.progressions(activity), _progression),
    ]


def _table(rows: Rows, confidence: float) -> pd.DataFrame:
    """Return the rows with observations, with q values, rounded."""
    found = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in {"confidence", "q_value"}])
    found = found[found["n_observations"] > 0].reset_index(drop=True).assign(confidence=confidence, q_value=np.nan)
    tested = found["p_value"].notna()
    if tested.any():
        found.loc[tested, "q_value"] = stats.false_discovery_control(found.loc[tested, "p_value"].to_numpy())
    numbers = ["estimate", "ci_low", "ci_high", "p_value", "q_value"]
    return found.assign(**{name: found[name].astype(np.float64).round(DECIMALS) for name in numbers})[list(COLUMNS)]


def _level(observations: Observations, kind: str, confidence: float) -> _Estimates:
    windows = [window for window in LEVEL_WINDOWS if window in observations]
    for window in windows if kind == "overall" else (PRIMARY_WINDOW,):
        part = select(observations, np.isfinite(observations[window]))
        damage, activity, years, patient = (part[name] for name in ("damage", window, "years", "patient"))
        yield from _correlations(damage, activity, patient, window, confidence)
        if kind == "overall" and window == PRIMARY_WINDOW:
            yield window, "kendall", cluster_correlation(damage, activity, patient, "kendall", confidence), patient
        # Within one year a patient has about one radiograph.
        if kind == "year":
            continue
        repeated = np.bincount(patient)[patient] > 1
        of = patient[repeated]
        deviations = _deviation(damage[repeated], of), _deviation(activity[repeated], of)
        yield window, "repeated_measures", cluster_correlation(*deviations, of, "pearson", confidence), of
        mean, mean_years = activity - _deviation(activity, patient), years - _deviation(years, patient)
        predictors = [np.ones(len(mean)), years - mean_years, mean_years, activity - mean, mean]
        slopes = _slopes(mixed_model, damage, predictors, patient, confidence)
        yield window, "mixed_within", slopes[3], patient
        yield window, "mixed_between", slopes[4], patient


def _change(observations: Observations, _: str, confidence: float) -> _Estimates:
    damage, activity, patient = (observations[name] for name in ("damage", "activity", "patient"))
    yield from _correlations(damage, activity, patient, PRIMARY_WINDOW, confidence)


def _progression(observations: Observations, _: str, confidence: float) -> _Estimates:
    for window in PROGRESSION_WINDOWS:
        part = select(observations, np.isfinite(observations[window]))
        rate, mean = (part[name] / part["years"] for name in ("damage", window))
        yield from _correlations(rate, mean, part["patient"], window, confidence)
    known = np.all([np.isfinite(observations[window]) for window in PROGRESSION_WINDOWS], axis=0)
    part = select(observations, known)
    # Gained damage = rate * years + effects * activity summed over years. Short intervals, with rates that are mostly
    # error, thus get little weight. The length of the interval replaces the intercept.
    predictors = [part[name] for name in ("years", *PROGRESSION_WINDOWS)]
    slopes = _slopes(cluster_regression, part["damage"], predictors, part["patient"], confidence)
    for window, slope in zip(PROGRESSION_WINDOWS, slopes[1:], strict=True):
        yield window, "regression", slope, part["patient"]


def _trend(observations: Observations, kind: str, confidence: float) -> _Estimates:
    if kind == "year":
        return
    damage, years, patient = (observations[name] for name in ("damage", "years", "patient"))
    within = _deviation(years, patient)
    slope = _slopes(mixed_model, damage, [np.ones(len(years)), within, years - within], patient, confidence)[1]
    yield "none", "mixed_model", slope._replace(p_value=np.nan), patient


def _correlations(damage: Floats, activity: Floats, patient: Codes, window: str, confidence: float) -> _Estimates:
    for method in ("pearson", "spearman"):
        yield window, method, cluster_correlation(damage, activity, patient, method, confidence), patient


def _slopes(
    fit: Callable[[Floats, Floats, Codes, float], list[Estimate]],
    damage: Floats,
    predictors: list[Floats],
    patient: Codes,
    confidence: float,
) -> list[Estimate]:
    if len(np.unique(patient)) < MIN_PATIENTS:
        return [UNKNOWN] * len(predictors)
    return fit(damage, np.column_stack(predictors), patient, confidence)


def _deviation(values: Floats, patient: Codes) -> Floats:
    """Return the deviations of values from the patient's mean."""
    n = np.maximum(np.bincount(patient), 1)
    return np.asarray(values - (np.bincount(patient, weights=values) / n)[patient], dtype=np.float64)
