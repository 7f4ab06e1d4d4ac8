"""How well the last radiograph of each patient is forecast from the radiographs before, beside what anybody could do by hand."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from scoring.analysis import progression
from scoring.analysis.progression import LEVELS, Course, Floats, Predictive
from scoring.clinical.rau import HUMAN_SDC, MAX_SCORE

FOLDS = 5
RESAMPLES = 2000

MODEL = "course"
METHODS = ("last value", "linear trend", "mixed model", MODEL)
"""Last value carried forward; least squares through the patient's radiographs; normal mixed model of the score; the model."""

# The errors of a normal model, as a sample.
_NORMAL = stats.norm.ppf((np.arange(999) + 0.5) / 999)


@dataclass(frozen=True)
class BackTest:
    """Forecasts of last radiographs by models that have not seen the patient.

    Attributes:
        figures: One row a method: method, mae (of the centre), rmse (of the mean), crps, all in points; coverage of the
            90 % interval, among all patients and in the quarter with the highest score before, and its width, points;
            brier (of the event that the last radiograph is more than 6.3 points above the one before).
        differences: One row a method to compare with and measure: against, measure, difference (the model's minus the
            other's, points), low, high (95 %, patients drawn with replacement).
        n_patients: Patients whose last radiograph was forecast.
        n_radiographs: Radiographs that it was forecast from.
        share_beyond: How often the event happened.
    """

    figures: pd.DataFrame
    differences: pd.DataFrame
    n_patients: int
    n_radiographs: int
    share_beyond: float


def back_test(radiographs: pd.DataFrame, seed: int = 1) -> BackTest:
    """Forecast the last radiograph of each patient with two or more, by each method.

    The patients are parted in five by a hash of their ids. For each part all that is learnt, the errors of the simple
    methods included, is learnt from the other four.

    Args:
        radiographs: As for `course.fit`.
        seed: Of the resamples of patients.

    Raises:
        TooFewPatients: Four fifths of the patients are too few for a model.
        ValueError: As for `course.fit`.
    """
    radiographs = progression.checked(radiographs)
    fold = radiographs["patient_id"].map(lambda name: zlib.crc32(str(name).encode()) % FOLDS)
    # Without any radiograph there is one part, of nobody, and the model says that it has too few to learn from.
    numbers = sorted(fold.unique()) or [0]
    parts = [_back_test_part(radiographs[fold != number], radiographs[fold == number]) for number in numbers]
    losses = {method: pd.concat([part[method] for part in parts], ignore_index=True) for method in METHODS}
    before, last = progression.without_last(radiographs)
    previous = before.groupby("patient_id")["rau"].last().to_numpy()
    return BackTest(
        figures=pd.DataFrame([{"method": method, **_figures(found)} for method, found in losses.items()]),
        differences=_differences(losses, seed),
        n_patients=len(last),
        n_radiographs=len(before),
        share_beyond=float((last["rau"].to_numpy() > previous + HUMAN_SDC).mean()),
    )


def last_value(before: pd.DataFrame, last: pd.DataFrame) -> Floats:  # noqa: ARG001 - one way to call all methods
    """The score of the radiograph before the last one, points; patients in the order of their ids."""
    return np.asarray(before.groupby("patient_id")["rau"].last(), dtype=np.float64)


def linear_trend(before: pd.DataFrame, last: pd.DataFrame) -> Floats:
    """A line of least squares through the patient's own radiographs, within 0 to 190; with one radiograph its score."""
    number = before.groupby("patient_id").ngroup()
    years = (before["visit_date"] - last["visit_date"].to_numpy()[number]).dt.days / progression.DAYS_PER_YEAR
    table = pd.DataFrame({"t": years, "y": before["rau"], "tt": years**2, "ty": years * before["rau"]})
    mean = table.groupby(number).mean()
    spread = mean["tt"] - mean["t"] ** 2
    slope = ((mean["ty"] - mean["t"] * mean["y"]) / spread).where(table.groupby(number).size() > 1, 0.0)
    # Years count from the radiograph that is asked for.
    return np.asarray(np.clip(mean["y"] - slope * mean["t"], 0, MAX_SCORE), dtype=np.float64)


def _back_test_part(learnt: pd.DataFrame, tested: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Losses of each method, one row a tested patient."""
    model = progression.fit(learnt)
    mixed = Course(progression.fit_growth(learnt.reset_index(drop=True), np.inf, with_walk=False), _NORMAL, 0)
    shift = model.growth.shift
    known, (before, last) = progression.without_last(learnt), progression.without_last(tested)
    previous = last_value(before, last)

    def by_hand(method: Callable[[pd.DataFrame, pd.DataFrame], Floats]) -> pd.DataFrame:
        """With the errors that the method made for other patients, on the model's scale."""
        error = progression.to_scale(known[1]["rau"].to_numpy(), shift) - progression.to_scale(method(*known), shift)
        point = method(before, last)
        centre = progression.to_scale(point, shift)
        return _losses(Predictive(shift, centre, np.ones_like(centre), np.sort(error)), last, previous, point)

    return {
        "last value": by_hand(last_value),
        "linear trend": by_hand(linear_trend),
        "mixed model": _losses(progression.predict(mixed, before, last), last, previous),
        MODEL: _losses(progression.predict(model, before, last), last, previous),
    }


def _losses(predicted: Predictive, last: pd.DataFrame, previous: Floats, point: Floats | None = None) -> pd.DataFrame:
    """What each patient's forecast cost; a method that names one value is judged by that value."""
    truth, quantiles = last["rau"].to_numpy(dtype=np.float64), predicted.quantiles()
    median, mean = (quantiles[:, len(LEVELS) // 2], quantiles.mean(axis=1)) if point is None else (point, point)
    beyond = truth > previous + HUMAN_SDC
    return pd.DataFrame(
        {
            "absolute": np.abs(median - truth),
            "squared": (mean - truth) ** 2,
            "crps": progression.crps(quantiles, truth),
            "covered": (quantiles[:, 0] <= truth) & (truth <= quantiles[:, -1]),
            "damaged": previous >= np.quantile(previous, 0.75),
            "width": quantiles[:, -1] - quantiles[:, 0],
            "brier": (predicted.share_above(previous + HUMAN_SDC) - beyond) ** 2,
        }
    )


def _figures(losses: pd.DataFrame) -> dict[str, float]:
    mean = losses.mean()
    return {
        "mae": float(mean["absolute"]),
        "rmse": float(np.sqrt(mean["squared"])),
        "crps": float(mean["crps"]),
        "coverage": float(mean["covered"]),
        "coverage_damaged": float(losses.loc[losses["damaged"], "covered"].mean()),
        "width": float(mean["width"]),
        "brier": float(mean["brier"]),
    }


def _differences(losses: dict[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """The model's error minus that of each other method, on the same resamples of patients."""
    n = len(losses[MODEL])
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
    weights = np.vstack([np.full(n, 1 / n), drawn])

    def measured(method: str) -> dict[str, Floats]:
        found = losses[method]
        return {
            "mae": weights @ found["absolute"].to_numpy(),
            "rmse": np.sqrt(weights @ found["squared"].to_numpy()),
            "crps": weights @ found["crps"].to_numpy(),
        }

    own = measured(MODEL)
    rows = []
    for method in METHODS:
        if method == MODEL:
            continue
        for measure, values in measured(method).items():
            difference = own[measure] - values
            low, high = np.quantile(difference[1:], (0.025, 0.975))
            rows.append((method, measure, float(difference[0]), float(low), float(high)))
    return pd.DataFrame(rows, columns=["against", "measure", "difference", "low", "high"])
