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
from scoring.training.evaluation import sums
from scoring.training.evaluation.sums import Floats, check_grades, divide, mean_over_grades

GROSS_ERROR = 3
"""A prediction this many grades from the truth is a gross error."""


def confusion_matrix(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Count the pairs of true grades, `(m,)`, and predicted grades, `(m,)`: int64 `(6, 6)`; the row is the truth.

    Raises:
        ValueError: A grade is not a whole number within 0 to 5 (NaN included), or the lengths differ.
    """
    rows, columns = check_grades("truth", truth), check_grades("predicted", predicted)
    if rows.shape != columns.shape:
        raise ValueError(f"truth and predicted must have the same length, not {rows.shape} and {columns.shape}.")
    n = ratingen.N_GRADES
    return np.bincount(rows * n + columns, minlength=n * n).reshape(n, n)


def class_normalized_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Return the mean recall over the grades that have joints (balanced accuracy); NaN without joints."""
    return float(confusion_measures(confusion)["class_normalized_accuracy"])


def within_one_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Return the mean over the grades with joints of the share predicted at most one grade off; NaN without joints.

    Many readings are on the border between two grades, so readers count one grade off as agreement.
    """
    return float(confusion_measures(confusion)["within_one_accuracy"])


def quadratic_weighted_kappa(confusion: npt.NDArray[Any]) -> float:
    """Return Cohen's kappa weighted by squared grade distance: 1 is agreement, 0 is chance, below is worse than chance.

    Cohen, Psychol Bull 1968;70:213-20. NaN without joints, or if all truths and predictions are one grade.
    """
    return float(confusion_measures(confusion)["quadratic_weighted_kappa"])


def confusion_measures(confusions: npt.NDArray[Any]) -> dict[str, Floats]:
    """Return all measures that need only the confusion matrix, for any number of matrices, `(..., n, n)`, at once.

    `erosion_unweighted_recall` is the mean of sensitivity and specificity for any erosion, grade 1 or more.
    `accuracy_and_kappa` is the mean of class-normalised accuracy and kappa: the first alone rewards calling healthy
    joints eroded, the second alone rewards never predicting a rare grade. It chooses epochs, grade weights, recipes and
    champions. `gross_errors` counts the joints predicted three or more grades off. The others are the functions above.
    Each has shape `(...)` and is NaN where it is not defined.
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

    Raises:
        ValueError: The proportion is outside 0 to 1, n is below 1, or the confidence is not between 0 and 1.
    """
    if not 0 <= proportion <= 1:
        raise ValueError("proportion must be between 0 and 1.")
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

    For distribution functions F, `(n, 101)`, and read erosions R in percent, `(n,)`, it is the mean over joints and
    k = 0..100 of (F[k] - H(k - R))^2, with H(k - R) = 1 for k >= R (Hersbach, Weather Forecast 2000;15:559-70; here the
    mean over 101 points, as in the network's loss). F is scored as given. NaN without joints.

    Raises:
        ValueError: Shapes do not fit, or a reading is missing or outside 0 to 100.
    """
    return _mean(sums.squared_cdf_distance(cdf, erosion_percent))


def evaluate(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike, rule: ReadOutRule = USUAL_RULE) -> dict[str, float]:
    """Return the measures of an epoch: a network's output, `(n, 101)`, compared with readings in percent, `(n,)`.

    The output is made monotone first, as in scoring.

    Returns:
        n, accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, accuracy_and_kappa,
        gross_errors (a count), crps, and the mean squared and absolute error of the expected erosion, mse (percent
        squared) and mae (percent); NaN where a measure is not defined.

    Raises:
        ValueError: Shapes do not fit, a reading is missing or outside 0 to 100, or an output is not a probability.
    """
    truth = sums.check_readings(erosion_percent)
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
