"""How joint damage and disease activity go together over time: level, change, and progression after activity.

Four relations, each asked of its own rows, so that nothing is counted twice:

- level: one row a radiograph, with the visit nearest to it in a window of days (`LEVEL_WINDOWS`);
- change: one row for two successive radiographs, with the change of activity between the visits nearest to them;
- progression: one row for two successive radiographs, with the activity summed over that interval, over the same span a year
  before, and over the same span a year after. Damage cannot follow from what came later: the year after is a control,
  and an effect there says that patients differ in something that drives both;
- course: one row a radiograph, damage over the years since the patient's first radiograph.

Patients return, so every interval is patient-clustered: correlations as in `scoring.analysis.correlation`, slopes as in
`scoring.analysis.regression`. Repeated-measures correlation (Bakdash, Marusich, Front Psychol 2017;8:456) is Pearson's
of the deviations from the patient's own means; its interval is clustered too, because a patient's deviations are not
independent, as theirs has to assume. The mixed model has a random intercept for each patient and tells the effect
within patients from that between them by the patient's mean (Mundlak, Econometrica 1978;46:69-85), given the years
since the first radiograph.

Each form of DAS28 is a series of its own. Hundreds of figures are asked at once, so some lie far from 0 by chance:
`q_value` is the p value after Benjamini and Hochberg (J R Stat Soc B 1995;57:289-300), over all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from scoring.analysis.correlation import DAMAGES, DECIMALS, THREADS, Estimate, Floats, cluster_correlation
from scoring.analysis.pairing import DAYS_PER_YEAR, Codes, Series, nearest, summed
from scoring.analysis.regression import cluster_regression, mixed_model

FORMS = ("das28_esr4", "das28_esr3", "das28_crp4", "das28_crp3")
TIME = "time"
"""Takes the place of activity where damage is related to the years alone."""

LEVEL_WINDOWS = {
    "within_90_days": (-90, 90),
    "same_day": (0, 0),
    "1_to_180_days_before": (-180, -1),
    "181_to_365_days_before": (-365, -181),
    "1_to_180_days_after": (1, 180),
    "181_to_365_days_after": (181, 365),
}
"""Day of activity relative to the radiograph's, first and last. The first window is that of all strata and of change."""

PROGRESSION_WINDOWS = {"year_before": -1, "during": 0, "year_after": 1}
"""By how many years the span of activity is shifted against the interval between two radiographs."""

SEVERITY_BOUNDS = (10.0, 30.0)
"""Points of the first radiograph's Rau score between the strata of severity. Set here; no published ones are known."""

STRATA = ("overall", "year", "severity")
SHORTEST_INTERVAL_YEARS, LONGEST_INTERVAL_YEARS = 0.5, 3.0
MIN_PATIENTS = 5
"""With fewer there is no figure: it would be about people, not about patients."""

COLUMNS = (
    "damage",
    "activity",
    "relation",
    "lag_window",
    "method",
    "stratum_kind",
    "stratum",
    "estimate",
    "ci_low",
    "ci_high",
    "confidence",
    "p_value",
    "q_value",
    "n_visits",
    "n_patients",
)

_PRIMARY = next(iter(LEVEL_WINDOWS))
_NO_WINDOW = "none"
_SEVERITIES = ("below_10", "10_to_30", "30_and_more")

_Found = Iterator[tuple[str, str, Estimate, Codes]]
"""Window, method, figure, and the patient of each row behind it."""


@dataclass(frozen=True)
class _Rows:
    """Rows of one relation: the patient of each, the strata it belongs to, and its figures."""

    patient: Codes
    year: Codes
    severity: Codes
    figures: dict[str, Floats]

    def only(self, mask: npt.NDArray[np.bool_]) -> "_Rows":
        return _Rows(
            self.patient[mask],
            self.year[mask],
            self.severity[mask],
            {name: values[mask] for name, values in self.figures.items()},
        )

    def strata(self, kinds: Iterable[str]) -> "Iterator[tuple[str, str, _Rows]]":
        for kind in kinds:
            if kind == "overall":
                yield kind, "all", self
            elif kind == "year":
                for year in np.unique(self.year):
                    yield kind, str(year), self.only(self.year == year)
            else:
                for code, name in enumerate(_SEVERITIES):
                    yield kind, name, self.only(self.severity == code)


_Asking = Callable[[_Rows, str, float], _Found]
"""What one relation asks of its rows, given the kind of stratum and the confidence of the intervals."""


def associate(
    radiographs: pd.DataFrame,
    visits: pd.DataFrame,
    *,
    damages: Sequence[str] = DAMAGES,
    forms: Sequence[str] = FORMS,
    strata: Sequence[str] = STRATA,
    level_windows: Sequence[str] = tuple(LEVEL_WINDOWS),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Relate damage to activity, each measure of damage with each form of DAS28.

    Args:
        radiographs: One row a patient and day with radiographs: patient_id, visit_date, n_scored (joints behind predicted_rau), and
            the damages, 0-190 points. Missing values are NaN or null.
        visits: One row a patient and day with activity: patient_id, visit_date, and the forms of DAS28.
        damages: Columns of radiographs to ask about.
        forms: Columns of visits to ask about.
        level_windows: Of LEVEL_WINDOWS, the first of these among them; the others are asked of all patients only.
        strata: overall; year (calendar year of the radiograph, or of the interval's last radiograph); severity (the patient's first
            radiograph below 10, up to 30, or above; that radiograph itself is left out, as its error would look like a course).
        confidence: Of the intervals, between 0 and 1.

    Returns:
        One row for each figure that has any row behind it. relation: level, change, progression or course. lag_window:
        of LEVEL_WINDOWS, of PROGRESSION_WINDOWS, or none. method: pearson, spearman, kendall (once, of level, as it is
        slow and says what Spearman says), repeated_measures, mixed_within and mixed_between (points for each
        unit of DAS28), regression (points for each unit of DAS28 that lasts a year, given the other two windows),
        mixed_model (of course: points a year; no p value, as nobody asks whether it is 0). n_visits: radiographs, or of
        change and progression intervals. Figures are NaN with fewer than 5 patients and where nothing varies.

        An interval between two radiographs counts if it has half a year to three years and, for predicted_rau, equally many
        joints on both.

    Raises:
        ValueError: A column is missing, a row has no patient, a patient has two rows for a day (a join that fans out
            strengthens nothing but the wrong belief), a stratum is unknown, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("confidence must be between 0 and 1")
    if unknown := set(strata) - set(STRATA):
        raise ValueError(f"no such strata: {', '.join(sorted(unknown))}")
    _check("radiographs", radiographs, (*damages, "n_scored"))
    _check("visits", visits, forms)
    patients = pd.factorize(pd.concat([radiographs["patient_id"], visits["patient_id"]], ignore_index=True), sort=True)[
        0
    ]
    radiographs_of, visits_of = patients[: len(radiographs)], patients[len(radiographs) :]
    activity = {form: _series(visits, visits_of, form) for form in forms}

    def figures(damage: str, form: str, relation: str, asked: _Rows, ask: _Asking) -> list[dict[str, Any]]:
        return [
            {
                "damage": damage,
                "activity": form,
                "relation": relation,
                "lag_window": window,
                "method": method,
                "stratum_kind": kind,
                "stratum": stratum,
                "estimate": found.estimate,
                "ci_low": found.ci_low,
                "ci_high": found.ci_high,
                "p_value": found.p_value,
                "n_visits": len(patient),
                "n_patients": _n_patients(patient),
            }
            for kind, stratum, part in asked.strata(strata)
            for window, method, found, patient in ask(part, kind, confidence)
        ]

    def of_damage(damage: str) -> tuple[Series, _Rows, Codes]:
        radiograph = _series(radiographs, radiographs_of, damage)
        joints = _series(
            radiographs.dropna(subset=[damage]),
            radiographs_of[radiographs[damage].notna()],
            "n_scored",
            keep_missing=True,
        )
        return (
            radiograph,
            _radiograph_rows(radiograph),
            _intervals(radiograph, joints.value if damage == "predicted_rau" else None),
        )

    def of_form(damage: str, form: str) -> list[dict[str, Any]]:
        radiograph, marked, intervals = followed[damage]
        if form == TIME:
            return figures(damage, TIME, "course", marked, _course)
        near = _nearby(radiograph, activity[form], level_windows)
        between = _summed_activity(radiograph, marked, intervals, activity[form])
        return [
            *figures(damage, form, "level", replace(marked, figures=marked.figures | near), _level),
            *figures(damage, form, "change", _changes(marked, intervals, near[_PRIMARY]), _change),
            *figures(damage, form, "progression", between, _progression),
        ]

    followed = {damage: of_damage(damage) for damage in damages}
    with ThreadPoolExecutor(THREADS) as pool:
        rows = [row for part in pool.map(of_form, *zip(*product(damages, (TIME, *forms)), strict=True)) for row in part]
    found = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in {"confidence", "q_value"}])
    found = found[found["n_visits"] > 0].reset_index(drop=True).assign(confidence=confidence, q_value=np.nan)
    tested = found["p_value"].notna().to_numpy()
    if tested.any():
        found.loc[tested, "q_value"] = stats.false_discovery_control(
            found.loc[tested, "p_value"].to_numpy(), method="bh"
        )
    numbers = ["estimate", "ci_low", "ci_high", "p_value", "q_value"]
    return found.assign(**{name: found[name].astype(np.float64).round(DECIMALS) for name in numbers})[list(COLUMNS)]


def _level(rows: _Rows, kind: str, confidence: float) -> _Found:
    windows = [window for window in LEVEL_WINDOWS if window in rows.figures]
    for window in windows if kind == "overall" else (_PRIMARY,):
        part = rows.only(np.isfinite(rows.figures[window]))
        damage, activity, patient = part.figures["damage"], part.figures[window], part.patient
        yield from _correlations(damage, activity, patient, window, confidence)
        if kind == "overall" and window == _PRIMARY:
            yield window, "kendall", _correlation(damage, activity, patient, "kendall", confidence), patient
        # Within a year a patient has about one radiograph.
        if kind == "year":
            continue
        again = np.bincount(patient)[patient] > 1 if len(patient) else np.zeros(0, dtype=bool)
        of = patient[again]
        inside = _deviation(damage[again], of), _deviation(activity[again], of)
        yield window, "repeated_measures", _correlation(inside[0], inside[1], of, "pearson", confidence), of
        mean, years = activity - _deviation(activity, patient), part.figures["years"]
        mean_years = years - _deviation(years, patient)
        predictors = [np.ones(len(mean)), years - mean_years, mean_years, activity - mean, mean]
        slopes = _slopes(mixed_model, damage, predictors, patient, confidence)
        yield window, "mixed_within", slopes[3], patient
        yield window, "mixed_between", slopes[4], patient


def _change(rows: _Rows, _: str, confidence: float) -> _Found:
    yield from _correlations(rows.figures["damage"], rows.figures["activity"], rows.patient, _PRIMARY, confidence)


def _progression(rows: _Rows, _: str, confidence: float) -> _Found:
    rate, length = rows.figures["damage"] / rows.figures["years"], rows.figures["years"]
    for window in PROGRESSION_WINDOWS:
        known = np.isfinite(rows.figures[window])
        mean = (rows.figures[window] / length)[known]
        yield from _correlations(rate[known], mean, rows.patient[known], window, confidence)
    known = np.isfinite(np.column_stack([rows.figures[window] for window in PROGRESSION_WINDOWS]))
    part = rows.only(np.all(known, axis=1))
    # Damage gained = rate * years + effects * activity summed over years: a short interval, whose rate is mostly error,
    # has little to say by itself. Its length stands where the intercept would.
    predictors = [part.figures["years"], *(part.figures[window] for window in PROGRESSION_WINDOWS)]
    slopes = _slopes(cluster_regression, part.figures["damage"], predictors, part.patient, confidence)
    for window, slope in zip(PROGRESSION_WINDOWS, slopes[1:], strict=True):
        yield window, "regression", slope, part.patient


def _course(rows: _Rows, kind: str, confidence: float) -> _Found:
    if kind == "year":
        return
    years, patient = rows.figures["years"], rows.patient
    inside = _deviation(years, patient)
    predictors = [np.ones(len(years)), inside, years - inside]
    slopes = _slopes(mixed_model, rows.figures["damage"], predictors, patient, confidence)
    yield _NO_WINDOW, "mixed_model", Estimate(slopes[1].estimate, slopes[1].ci_low, slopes[1].ci_high, np.nan), patient


def _correlations(damage: Floats, activity: Floats, patient: Codes, window: str, confidence: float) -> _Found:
    for method in ("pearson", "spearman"):
        yield window, method, _correlation(damage, activity, patient, method, confidence), patient


def _correlation(damage: Floats, activity: Floats, patient: Codes, method: str, confidence: float) -> Estimate:
    if _n_patients(patient) < MIN_PATIENTS:
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    return cluster_correlation(damage, activity, patient, method, confidence)


def _slopes(
    fit: Callable[[Floats, Floats, Codes, float], list[Estimate]],
    damage: Floats,
    predictors: list[Floats],
    patient: Codes,
    confidence: float,
) -> list[Estimate]:
    if _n_patients(patient) < MIN_PATIENTS:
        return [Estimate(np.nan, np.nan, np.nan, np.nan)] * len(predictors)
    return fit(damage, np.column_stack(predictors), patient, confidence)


def _n_patients(patient: Codes) -> int:
    """Number of patients in rows that are sorted by patient."""
    return int(len(patient) > 0) + int(np.count_nonzero(np.diff(patient)))


def _deviation(values: Floats, patient: Codes) -> Floats:
    """Values less the patient's own mean."""
    if not len(values):
        return values
    n = np.maximum(np.bincount(patient), 1)
    return np.asarray(values - (np.bincount(patient, weights=values) / n)[patient], dtype=np.float64)


def _series(frame: pd.DataFrame, patient: Codes, name: str, *, keep_missing: bool = False) -> Series:
    value = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    day = pd.to_datetime(frame["visit_date"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    kept = np.flatnonzero(np.isfinite(value) | keep_missing)
    order = kept[np.lexsort((day[kept], patient[kept]))]
    return Series(patient[order], day[order], value[order])


def _radiograph_rows(radiograph: Series) -> _Rows:
    """Each radiograph with its year, the years since the patient's first one, and that one's severity (-1 of itself)."""
    begins = np.append(True, np.diff(radiograph.patient) != 0)[: len(radiograph.day)]
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    severity = np.where(begins, -1, np.searchsorted(SEVERITY_BOUNDS, radiograph.value[first], side="right"))
    year = radiograph.day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    years = (radiograph.day - radiograph.day[first]) / DAYS_PER_YEAR
    return _Rows(radiograph.patient, year, severity, {"damage": radiograph.value, "years": years})


def _nearby(radiograph: Series, activity: Series, windows: Iterable[str]) -> dict[str, Floats]:
    """Activity nearest to each radiograph in each window; NaN where there is none."""
    near = {}
    padded = np.append(activity.value, np.nan)
    for window in windows:
        earliest, latest = LEVEL_WINDOWS[window]
        near[window] = padded[nearest(activity, radiograph.patient, radiograph.day, earliest, latest)]
    return near


def _intervals(radiograph: Series, joints: Floats | None) -> Codes:
    """Places of radiographs that begin an interval which counts; it ends with the next radiograph."""
    begin = np.arange(len(radiograph.day) - 1) if len(radiograph.day) else np.zeros(0, dtype=np.int64)
    years = (radiograph.day[begin + 1] - radiograph.day[begin]) / DAYS_PER_YEAR
    counts = radiograph.patient[begin + 1] == radiograph.patient[begin]
    counts &= (years >= SHORTEST_INTERVAL_YEARS) & (years <= LONGEST_INTERVAL_YEARS)
    if joints is not None:
        counts &= joints[begin + 1] == joints[begin]
    return np.asarray(begin[counts], dtype=np.int64)


def _between(marked: _Rows, intervals: Codes, figures: dict[str, Floats]) -> _Rows:
    """Rows of intervals: the year of the last radiograph; an interval that begins with the first radiograph has no severity."""
    end = intervals + 1
    severity = np.where(marked.severity[intervals] < 0, -1, marked.severity[end])
    damage = marked.figures["damage"][end] - marked.figures["damage"][intervals]
    years = marked.figures["years"][end] - marked.figures["years"][intervals]
    return _Rows(marked.patient[end], marked.year[end], severity, {"damage": damage, "years": years} | figures)


def _changes(marked: _Rows, intervals: Codes, activity: Floats) -> _Rows:
    rows = _between(marked, intervals, {"activity": activity[intervals + 1] - activity[intervals]})
    return rows.only(np.isfinite(rows.figures["activity"]))


def _summed_activity(radiograph: Series, marked: _Rows, intervals: Codes, activity: Series) -> _Rows:
    windows = {}
    for window, shift in PROGRESSION_WINDOWS.items():
        day = radiograph.day.astype(np.float64) + shift * DAYS_PER_YEAR
        windows[window] = summed(activity, radiograph.patient[intervals], day[intervals], day[intervals + 1])
    return _between(marked, intervals, windows)


def _check(name: str, frame: pd.DataFrame, values: Iterable[str]) -> None:
    missing = [column for column in ("patient_id", "visit_date", *values) if column not in frame.columns]
    if missing:
        raise ValueError(f"{name} lack the columns {', '.join(missing)}")
    if frame["patient_id"].isna().any():
        raise ValueError(f"{int(frame['patient_id'].isna().sum())} {name} have no patient_id; leave them out")
    repeated = int(frame.duplicated(["patient_id", "visit_date"]).sum())
    if repeated:
        raise ValueError(f"{repeated} {name} are there more than once (patient_id, visit_date); correct the join")
