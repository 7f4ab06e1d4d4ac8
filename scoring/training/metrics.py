"""How good predicted grades and distributions are.

Most joints are healthy: calling every joint grade 0 is right for two of three. Each measure that a rare grade must
count in is therefore averaged over the grades, not over the joints. Rows of a confusion matrix are the truth.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.clinical.ranges import refuse_where
from scoring.networks.readout import N_POINTS, make_monotone, read_out

GROSS_ERROR = 3
"""A prediction this many grades from the truth is a gross error."""


def confusion_matrix(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, n: int = ratingen.N_GRADES
) -> npt.NDArray[np.int64]:
    """Count pairs of true and predicted grade.

    Args:
        truth: True grades 0..n-1, shape (m,).
        predicted: Predicted grades 0..n-1, shape (m,).
        n: Number of grades.

    Returns:
        Counts, int64 (n, n); the row is the truth.

    Raises:
        ValueError: A grade is not a whole number within 0..n-1 (NaN included), or the lengths differ.
    """
    rows, columns = _grades("truth", truth, n), _grades("predicted", predicted, n)
    if rows.shape != columns.shape:
        raise ValueError(f"truth and predicted must have the same length, not {rows.shape} and {columns.shape}")
    return np.bincount(rows * n + columns, minlength=n * n).reshape(n, n)


def accuracy(confusion: npt.NDArray[Any]) -> float:
    """Share of joints with the right grade; NaN without joints."""
    return _ratio(np.trace(confusion), confusion.sum())


def class_normalized_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Mean over the grades of the share of their joints with the right grade (balanced accuracy, mean recall).

    A grade that no joint truly has is left out of the mean, neither 0 nor 1; NaN without joints.
    """
    return _mean_share_within(confusion, 0)


def within_one_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Mean over the grades of the share of their joints predicted at most one grade off.

    Readings sit on the borders between grades, so readers count one grade off as agreement. A grade that no joint truly
    has is left out of the mean; NaN without joints.
    """
    return _mean_share_within(confusion, 1)


def quadratic_weighted_kappa(confusion: npt.NDArray[Any]) -> float:
    """Cohen's kappa with squared grade distance as weight: 1 is agreement, 0 is chance, below is worse than chance.

    Cohen, Psychol Bull 1968;70:213-20. NaN if truth and prediction are all in the same single grade, or without joints.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    distance = np.subtract.outer(np.arange(len(counts)), np.arange(len(counts))) ** 2
    observed = np.sum(distance * counts)
    by_chance = np.sum(distance * np.outer(counts.sum(axis=1), counts.sum(axis=0)))
    return 1 - _ratio(observed * counts.sum(), by_chance)


def gross_errors(confusion: npt.NDArray[Any]) -> int:
    """Number of joints predicted three or more grades off."""
    grades = np.arange(len(confusion))
    return int(confusion[np.abs(np.subtract.outer(grades, grades)) >= GROSS_ERROR].sum())


def wilson_interval(proportion: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a proportion (Wilson, J Am Stat Assoc 1927;22:209-12).

    It takes the n trials to be independent. Joints of one patient are not, so over joints it is too narrow.

    Args:
        proportion: Share of successes, 0-1.
        n: Number of trials, at least 1.
        confidence: Between 0 and 1, both excluded.

    Returns:
        Lower and upper limit, within 0-1.

    Raises:
        ValueError: An argument is outside its range.
    """
    if not 0 <= proportion <= 1:
        raise ValueError("proportion must be within 0 to 1")
    if n < 1:
        raise ValueError("n must be at least 1")
    if not 0 < confidence < 1:
        raise ValueError("confidence must be between 0 and 1")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (proportion + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (proportion * (1 - proportion) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def crps(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> float:
    """Continuous ranked probability score: 0 is a sure and right distribution, 1 the worst.

    The mean over joints and over k = 0..100 of (F[k] - H(k - R))^2, with H(k - R) = 1 for k >= R (Hersbach, Weather
    Forecast 2000;15:559-70, as a mean over 101 points as in the network's loss). F is scored as given.

    Args:
        cdf: Distribution functions, (n, 101).
        erosion_percent: Read erosion R, 0-100, (n,).

    Returns:
        The score; NaN without joints.

    Raises:
        ValueError: Shapes do not fit, or a reading is missing or outside 0 to 100.
    """
    truth = _readings(erosion_percent)
    if cdf.shape != (len(truth), N_POINTS):
        raise ValueError(f"cdf must have shape ({len(truth)}, {N_POINTS}), one row a reading, not {cdf.shape}")
    target = np.arange(N_POINTS) >= truth[:, np.newaxis]
    return _mean((cdf - target) ** 2)


def mse(predicted_percent: npt.ArrayLike, erosion_percent: npt.ArrayLike) -> float:
    """Mean squared error of predicted erosion, in percent squared; NaN without joints."""
    return _mean(_errors(predicted_percent, erosion_percent) ** 2)


def mae(predicted_percent: npt.ArrayLike, erosion_percent: npt.ArrayLike) -> float:
    """Mean absolute error of predicted erosion, in percent; NaN without joints."""
    return _mean(np.abs(_errors(predicted_percent, erosion_percent)))


def evaluate(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> dict[str, float]:
    """All measures of a network's output against readings.

    Args:
        cdf: Output of the network, raw or monotone, (n, 101); it is made monotone before it is scored, as it is before
            it is used.
        erosion_percent: Read erosion, 0-100, (n,).

    Returns:
        n, accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, gross_errors (a count),
        crps, mse, mae.

    Raises:
        ValueError: Shapes do not fit, a reading is missing or outside 0 to 100, or an output is not a probability.
    """
    truth = _readings(erosion_percent)
    prediction = read_out(cdf)
    confusion = confusion_matrix(ratingen.grade(truth), prediction.grade)
    return {
        "n": float(len(truth)),
        "accuracy": accuracy(confusion),
        "class_normalized_accuracy": class_normalized_accuracy(confusion),
        "within_one_accuracy": within_one_accuracy(confusion),
        "quadratic_weighted_kappa": quadratic_weighted_kappa(confusion),
        "gross_errors": float(gross_errors(confusion)),
        "crps": crps(make_monotone(cdf), truth),
        "mse": mse(prediction.mean, truth),
        "mae": mae(prediction.mean, truth),
    }


def _grades(name: str, grades: npt.ArrayLike, n: int) -> npt.NDArray[np.int64]:
    given = np.asarray(grades, dtype=np.float64)
    refuse_where(
        name, ~((given >= 0) & (given < n) & (given == np.floor(given))), f"a whole number within 0 to {n - 1}"
    )
    return given.astype(np.int64)


def _readings(erosion_percent: npt.ArrayLike) -> npt.NDArray[np.float64]:
    readings = np.asarray(erosion_percent, dtype=np.float64)
    refuse_where("erosion_percent", ~((readings >= 0) & (readings <= 100)), "read, and within 0 to 100")
    return readings


def _errors(predicted_percent: npt.ArrayLike, erosion_percent: npt.ArrayLike) -> npt.NDArray[np.float64]:
    predicted, truth = np.asarray(predicted_percent, dtype=np.float64), _readings(erosion_percent)
    if predicted.shape != truth.shape:
        raise ValueError(f"predictions and readings must have the same length, not {predicted.shape}, {truth.shape}")
    return predicted - truth


def _mean_share_within(confusion: npt.NDArray[Any], distance: int) -> float:
    counts = np.asarray(confusion, dtype=np.float64)
    grades = np.arange(len(counts))
    near = np.abs(np.subtract.outer(grades, grades)) <= distance
    of_grade = counts.sum(axis=1)
    present = of_grade > 0
    return _mean((counts * near).sum(axis=1)[present] / of_grade[present])


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else float("nan")
