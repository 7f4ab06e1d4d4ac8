"""Measures of predicted grades and distributions.

Most joints are healthy: predicting grade 0 for every joint is right for two of three. Measures in which rare grades
must count are therefore averaged over the grades, not over the joints. Rows of a confusion matrix are the truth.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.networks.readout import USUAL_RULE, ReadOutRule, make_monotone, read_out
from scoring.training.evaluation.sums import (
    Floats,
    check_grades,
    check_readings,
    divide,
    mean_over_grades,
    squared_cdf_distance,
)

GROSS_ERROR = 3
"""A prediction this many grades from the truth is a gross error."""


def confusion_matrix(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, n: int = ratingen.N_GRADES
) -> npt.NDArray[np.int64]:
    """Count the pairs of true and predicted grade.

    Args:
        truth: True grades 0..n-1, shape (m,).
        predicted: Predicted grades 0..n-1, shape (m,).
        n: Number of grades.

    Returns:
        Counts, int64 (n, n); the row is the truth.

    Raises:
        ValueError: A grade is not a whole number within 0..n-1 (NaN included), or the lengths differ.
    """
    rows, columns = check_grades("truth", truth, n), check_grades("predicted", predicted, n)
    if rows.shape != columns.shape:
        raise ValueError(f"truth and predicted must have the same length, not {rows.shape} and {columns.shape}.")
    return np.bincount(rows * n + columns, minlength=n * n).reshape(n, n)


def class_normalized_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Return the mean recall over the grades (balanced accuracy); NaN without joints.

    A grade without joints is excluded from the mean.
    """
    return float(confusion_measures(confusion)["class_normalized_accuracy"])


def within_one_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Return the mean over the grades of the share of their joints predicted at most one grade off.

    Many readings are on the border between two grades, so readers count one grade off as agreement. A grade without
    joints is excluded from the mean; NaN without joints.
    """
    return float(confusion_measures(confusion)["within_one_accuracy"])


def quadratic_weighted_kappa(confusion: npt.NDArray[Any]) -> float:
    """Return Cohen's kappa weighted by squared grade distance: 1 is agreement, 0 is chance, below is worse than chance.

    Cohen, Psychol Bull 1968;70:213-20. NaN if truth and prediction are all in the same single grade, or without joints.
    """
    return float(confusion_measures(confusion)["quadratic_weighted_kappa"])


def confusion_measures(confusions: npt.NDArray[Any]) -> dict[str, Floats]:
    """Return all measures that need only the confusion matrix, for any number of matrices at once.

    `erosion_unweighted_recall` is the mean of sensitivity and specificity for any erosion, grade 1 or more.
    `accuracy_and_kappa` is the mean of class-normalised accuracy and kappa: the first alone rewards calling healthy
    joints eroded, the second alone rewards never predicting a rare grade. It chooses epochs, grade weights, recipes and
    champions. `gross_errors` counts the joints predicted three or more grades off. The others are the functions above.

    Args:
        confusions: Counts, (..., n, n); the row is the truth.

    Returns:
        accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, accuracy_and_kappa,
        gross_errors, erosion_unweighted_recall, each of shape (...); NaN where a measure is not defined.
    """
    counts = np.asarray(confusions, dtype=np.float64)
    grades = np.arange(counts.shape[-1])
    distance = np.abs(np.subtract.outer(grades, grades))
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    total = true.sum(axis=-1)
    observed = (distance**2 * counts).sum(axis=(-2, -1))
    by_chance = np.einsum("...i,ij,...j->...", true, (distance**2).astype(np.float64), predicted)
    eroded = np.stack([counts[..., 0, 0], counts[..., 1:, 1:].sum(axis=(-2, -1))], axis=-1)
    class_normalized = mean_over_grades((counts * (distance == 0)).sum(axis=-1), true)
    kappa = 1 - divide(observed * total, by_chance)
    return {
        "accuracy": divide(np.trace(counts, axis1=-2, axis2=-1), total),
        "class_normalized_accuracy": class_normalized,
        "within_one_accuracy": mean_over_grades((counts * (distance <= 1)).sum(axis=-1), true),
        "quadratic_weighted_kappa": kappa,
        "accuracy_and_kappa": (class_normalized + kappa) / 2,
        "gross_errors": (counts * (distance >= GROSS_ERROR)).sum(axis=(-2, -1)),
        "erosion_unweighted_recall": mean_over_grades(
            eroded, np.stack([true[..., 0], true[..., 1:].sum(axis=-1)], axis=-1)
        ),
    }


def wilson_interval(proportion: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the confidence interval of a proportion (Wilson, J Am Stat Assoc 1927;22:209-12).

    It assumes n independent trials. Joints of one patient are not independent, so over joints it is too narrow.

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
        raise ValueError("proportion must be within 0 to 1.")
    if n < 1:
        raise ValueError("n must be at least 1.")
    if not 0 < confidence < 1:
        raise ValueError("confidence must be between 0 and 1.")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (proportion + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (proportion * (1 - proportion) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def crps(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> float:
    """Return the continuous ranked probability score: 0 is a certain and correct distribution, 1 the worst.

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
    return _mean(squared_cdf_distance(cdf, erosion_percent))


def evaluate(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike, rule: ReadOutRule = USUAL_RULE) -> dict[str, float]:
    """Return the measures of an epoch: a network's output compared with readings.

    Args:
        cdf: Output of the network, raw or monotone, (n, 101); made monotone first, as in scoring.
        erosion_percent: Read erosion, 0-100, (n,).
        rule: How grades are read from the output.

    Returns:
        n, accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, accuracy_and_kappa,
        gross_errors (a count), crps, and the mean squared and absolute error of the expected erosion, mse (percent
        squared) and mae (percent); NaN where a measure is not defined.

    Raises:
        ValueError: Shapes do not fit, a reading is missing or outside 0 to 100, or an output is not a probability.
    """
    truth = check_readings(erosion_percent)
    prediction = read_out(cdf, rule)
    measures = confusion_measures(confusion_matrix(ratingen.grade(truth), prediction.grade))
    error = prediction.mean - truth
    return {
        "n": float(len(truth)),
        **{name: float(value) for name, value in measures.items() if name != "erosion_unweighted_recall"},
        "crps": crps(make_monotone(cdf), truth),
        "mse": _mean(error**2),
        "mae": _mean(np.abs(error)),
    }


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")
