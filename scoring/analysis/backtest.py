"""Back-test: forecast the last radiograph of each patient from the earlier ones, and compare with simpler methods."""

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from scoring.analysis import progression
from scoring.analysis.frames import DAYS_PER_YEAR, Floats
from scoring.analysis.growth import fit_growth, to_scale
from scoring.analysis.progression import LEVELS, PredictiveDistribution, ProgressionModel
from scoring.clinical.rau import HUMAN_SDC, MAX_SCORE

FOLDS = 5

MODEL = "progression model"
METHODS = ("last value", "linear trend", "mixed model", MODEL)
"""Last value carried forward, least-squares line through the patient's radiographs, normal mixed model of the score,
progression model."""

_RESAMPLES, _SEED = 2000, 1
# Errors of a normal model, as a sample.
_NORMAL = stats.norm.ppf((np.arange(999) + 0.5) / 999)


@dataclass(frozen=True)
class BackTest:
    """Errors of forecasting last radiographs with models that were fitted to other patients.

    Attributes:
        figures: One row per method: method, mae (of the median), rmse (of the mean), crps, all in points; coverage of
            the 90 % interval for all patients and for the quarter with the highest previous scores, and its width in
            points; brier (of the event that the score rises by more than the smallest detectable change).
        differences: One row per other method and measure: against, measure, difference (progression model minus other
            method, points), low, high (95 % interval, bootstrap over patients).
        n_patients: Number of patients with a forecast.
        n_radiographs: Number of earlier radiographs behind the forecasts.
        share_beyond: Share of patients with the event.
    """

    figures: pd.DataFrame
    differences: pd.DataFrame
    n_patients: int
    n_radiographs: int
    share_beyond: float


def back_test(radiographs: pd.DataFrame) -> BackTest:
    """Forecast the last radiograph of each patient with two or more, with each method.

    A hash of their ids divides the patients into five parts. For each part, everything is fitted to the other four,
    including the errors of the simple methods. Radiographs and errors are those of `progression.fit`: the exception
    TooFewPatients means that four fifths of the patients are too few for a model.
    """
    radiographs = progression.checked(radiographs)
    fold = radiographs["patient_id"].map(lambda name: zlib.crc32(str(name).encode()) % FOLDS)
    # Without radiographs there is one empty part, for which the model raises TooFewPatients.
    numbers = sorted(fold.unique()) or [0]
    parts = [_back_test_part(radiographs[fold != number], radiographs[fold == number]) for number in numbers]
    losses = {method: pd.concat([part[method] for part in parts], ignore_index=True) for method in METHODS}
    before, last = progression.without_last(radiographs)
    return BackTest(
        figures=pd.DataFrame([{"method": method, **_figures(found)} for method, found in losses.items()]),
        differences=_differences(losses),
        n_patients=len(last),
        n_radiographs=len(before),
        share_beyond=float((last["rau"].to_numpy() > last_value(before) + HUMAN_SDC).mean()),
    )


def last_value(before: pd.DataFrame) -> Floats:
    """Return the score before the last one in points, in order of patient ids."""
    return np.asarray(before.groupby("patient_id")["rau"].last(), dtype=np.float64)


def linear_trend(before: pd.DataFrame, last: pd.DataFrame) -> Floats:
    """Extrapolate a least-squares line through the patient's radiographs, within 0 to 190; repeat a single score."""
    number = before.groupby("patient_id").ngroup()
    years = (before["visit_date"] - last["visit_date"].to_numpy()[number]).dt.days / DAYS_PER_YEAR
    table = pd.DataFrame({"t": years, "y": before["rau"], "tt": years**2, "ty": years * before["rau"]})
    mean = table.groupby(number).mean()
    spread = mean["tt"] - mean["t"] ** 2
    slope = ((mean["ty"] - mean["t"] * mean["y"]) / spread).where(table.groupby(number).size() > 1, 0.0)
    # Years are relative to the radiograph to forecast.
    return np.asarray(np.clip(mean["y"] - slope * mean["t"], 0, MAX_SCORE), dtype=np.float64)


def _back_test_part(training: pd.DataFrame, test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the losses of each method, one row per test patient."""
    model = progression.fit(training)
    mixed = ProgressionModel(fit_growth(training.reset_index(drop=True), np.inf, with_walk=False), _NORMAL, 0)
    known_before, known_last = progression.without_last(training)
    before, last = progression.without_last(test)
    shift, previous = model.growth.shift, last_value(before)

    def simple(known: Floats, point: Floats) -> pd.DataFrame:
        """Return the losses with the errors of the method for training patients, on the scale of the model."""
        errors = np.sort(to_scale(known_last["rau"].to_numpy(), shift) - to_scale(known, shift))
        predicted = PredictiveDistribution(shift, to_scale(point, shift), np.ones_like(point), errors)
        return _losses(predicted, last, previous, point)

    return {
        "last value": simple(last_value(known_before), previous),
        "linear trend": simple(linear_trend(known_before, known_last), linear_trend(before, last)),
        "mixed model": _losses(progression.predict(mixed, before, last), last, previous),
        MODEL: _losses(progression.predict(model, before, last), last, previous),
    }


def _losses(
    predicted: PredictiveDistribution, last: pd.DataFrame, previous: Floats, point: Floats | None = None
) -> pd.DataFrame:
    """Return the losses of each patient; a method with a point forecast is judged by that value."""
    truth, quantiles = last["rau"].to_numpy(dtype=np.float64), predicted.quantiles()
    median, mean = (quantiles[:, len(LEVELS) // 2], quantiles.mean(axis=1)) if point is None else (point, point)
    threshold = previous + HUMAN_SDC
    return pd.DataFrame(
        {
            "absolute": np.abs(median - truth),
            "squared": (mean - truth) ** 2,
            "crps": progression.crps(quantiles, truth),
            "covered": (quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1]),
            "damaged": previous >= np.quantile(previous, 0.75),
            "width": quantiles[:, -1] - quantiles[:, 0],
            "brier": (predicted.probability_above(threshold) - (truth > threshold)) ** 2,
        }
    )


def _figures(losses: pd.DataFrame) -> dict[str, float]:
    mean = losses.mean()
    return {
        "mae": mean["absolute"],
        "rmse": np.sqrt(mean["squared"]),
        "crps": mean["crps"],
        "coverage": mean["covered"],
        "coverage_damaged": losses.loc[losses["damaged"], "covered"].mean(),
        "width": mean["width"],
        "brier": mean["brier"],
    }


def _differences(losses: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the errors of the model minus those of the other methods, on the same bootstrap samples of patients."""
    n = len(losses[MODEL])
    drawn = np.random.default_rng(_SEED).multinomial(n, np.full(n, 1 / n), _RESAMPLES) / n
    weights = np.vstack([np.full(n, 1 / n), drawn])

    def measured(method: str) -> dict[str, Floats]:
        means = {name: weights @ losses[method][name].to_numpy() for name in ("absolute", "squared", "crps")}
        return {"mae": means["absolute"], "rmse": np.sqrt(means["squared"]), "crps": means["crps"]}

    own = measured(MODEL)
    rows = []
    for method in METHODS[:-1]:
        for measure, values in measured(method).items():
            difference = own[measure] - values
            rows.append((method, measure, difference[0], *np.quantile(difference[1:], (0.025, 0.975))))
    return pd.DataFrame(rows, columns=["against", "measure", "difference", "low", "high"])
