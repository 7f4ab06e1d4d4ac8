"""How good predicted grades, distributions and Rau scores are.

Most joints are healthy: calling every joint grade 0 is right for two of three. Each measure that a rare grade must
count in is therefore averaged over the grades, not over the joints. Rows of a confusion matrix are the truth.

The measures in the second half of the module are functions of sums over joints or radiographs, along leading axes of any
shape: what is computed once for a set is computed for a thousand resamples of its patients in one call
(`scoring.training.evaluation.bootstrap`).
"""

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.clinical.ranges import refuse_where
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule, make_monotone, read_out

Floats = npt.NDArray[np.float64]

GROSS_ERROR = 3
"""A prediction this many grades from the truth is a gross error."""

BORDER_TOLERANCE = 2.5
"""Half a step of the readers' 5 % grid: what a reading of 20 % stands for lies between 17.5 and 22.5 %."""

SPECIFICITY = 0.99
"""At this specificity the sensitivity is taken: of the many healthy joints, one in a hundred may be called eroded."""

PIT_LEVELS = np.arange(21) / 20
"""Where the distribution of the probability integral transform is compared with the uniform one."""

CONFIDENCE_BINS = 10
"""Bins of equal width in which stated and observed probability of the likeliest grade are compared."""


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
    return float(of_confusions(confusion)["accuracy"])


def class_normalized_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Mean over the grades of the share of their joints with the right grade (balanced accuracy, mean recall).

    A grade that no joint truly has is left out of the mean, neither 0 nor 1; NaN without joints.
    """
    return float(of_confusions(confusion)["class_normalized_accuracy"])


def within_one_accuracy(confusion: npt.NDArray[Any]) -> float:
    """Mean over the grades of the share of their joints predicted at most one grade off.

    Readings sit on the borders between grades, so readers count one grade off as agreement. A grade that no joint truly
    has is left out of the mean; NaN without joints.
    """
    return float(of_confusions(confusion)["within_one_accuracy"])


def quadratic_weighted_kappa(confusion: npt.NDArray[Any]) -> float:
    """Cohen's kappa with squared grade distance as weight: 1 is agreement, 0 is chance, below is worse than chance.

    Cohen, Psychol Bull 1968;70:213-20. NaN if truth and prediction are all in the same single grade, or without joints.
    """
    return float(of_confusions(confusion)["quadratic_weighted_kappa"])


def gross_errors(confusion: npt.NDArray[Any]) -> int:
    """Number of joints predicted three or more grades off."""
    return int(of_confusions(confusion)["gross_errors"])


def of_confusions(confusions: npt.NDArray[Any]) -> dict[str, Floats]:
    """All measures that need nothing but the confusion matrix, for any number of matrices at once.

    `erosion_unweighted_recall` is the mean of sensitivity and specificity for any erosion, grade 1 or more.
    `accuracy_and_kappa` is the mean of class-normalised accuracy and kappa: the first alone rewards calling healthy
    joints eroded, the second alone rewards never calling a rare grade. Epochs, weights of the grades, recipes and
    champions are chosen by it. The other names are those of the functions above.

    Args:
        confusions: Counts, (..., n, n); the row is the truth.

    Returns:
        accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, accuracy_and_kappa,
        gross_errors, erosion_unweighted_recall, each of shape (...); NaN where a measure is not defined.
    """
    counts = np.asarray(confusions, dtype=np.float64)
    grades = np.arange(counts.shape[-1])
    distance = np.abs(np.subtract.outer(grades, grades))
    of_grade, called = counts.sum(axis=-1), counts.sum(axis=-2)
    total = of_grade.sum(axis=-1)
    observed = (distance**2 * counts).sum(axis=(-2, -1))
    by_chance = np.einsum("...i,ij,...j->...", of_grade, (distance**2).astype(np.float64), called)
    eroded = np.stack([counts[..., 0, 0], counts[..., 1:, 1:].sum(axis=(-2, -1))], axis=-1)
    class_normalized = mean_share((counts * (distance == 0)).sum(axis=-1), of_grade)
    kappa = 1 - divide(observed * total, by_chance)
    return {
        "accuracy": divide(np.trace(counts, axis1=-2, axis2=-1), total),
        "class_normalized_accuracy": class_normalized,
        "within_one_accuracy": mean_share((counts * (distance <= 1)).sum(axis=-1), of_grade),
        "quadratic_weighted_kappa": kappa,
        "accuracy_and_kappa": (class_normalized + kappa) / 2,
        "gross_errors": (counts * (distance >= GROSS_ERROR)).sum(axis=(-2, -1)),
        "erosion_unweighted_recall": mean_share(
            eroded, np.stack([of_grade[..., 0], of_grade[..., 1:].sum(axis=-1)], axis=-1)
        ),
    }


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
    return _mean(squared_distance(cdf, erosion_percent))


def squared_distance(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> Floats:
    """What the CRPS is the mean of: for each joint the mean over k of (F[k] - H(k - R))^2, (n,); see `crps`."""
    truth = _readings(erosion_percent)
    _check_shape(cdf, truth)
    target = np.arange(N_POINTS) >= truth[:, np.newaxis]
    return np.asarray(np.mean((cdf - target) ** 2, axis=1, dtype=np.float64))


def mse(predicted_percent: npt.ArrayLike, erosion_percent: npt.ArrayLike) -> float:
    """Mean squared error of predicted erosion, in percent squared; NaN without joints."""
    return _mean(_errors(predicted_percent, erosion_percent) ** 2)


def mae(predicted_percent: npt.ArrayLike, erosion_percent: npt.ArrayLike) -> float:
    """Mean absolute error of predicted erosion, in percent; NaN without joints."""
    return _mean(np.abs(_errors(predicted_percent, erosion_percent)))


def evaluate(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike, rule: ReadOutRule = USUAL_RULE) -> dict[str, float]:
    """The measures of a network's output against readings that an epoch is judged by.

    Args:
        cdf: Output of the network, raw or monotone, (n, 101); it is made monotone before it is scored, as it is before
            it is used.
        erosion_percent: Read erosion, 0-100, (n,).
        rule: How grades are read from the output.

    Returns:
        n, accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, accuracy_and_kappa,
        gross_errors (a count), crps, mse, mae.

    Raises:
        ValueError: Shapes do not fit, a reading is missing or outside 0 to 100, or an output is not a probability.
    """
    truth = _readings(erosion_percent)
    prediction = read_out(cdf, rule)
    of_grades = of_confusions(confusion_matrix(ratingen.grade(truth), prediction.grade))
    return {
        "n": float(len(truth)),
        "accuracy": float(of_grades["accuracy"]),
        "class_normalized_accuracy": float(of_grades["class_normalized_accuracy"]),
        "within_one_accuracy": float(of_grades["within_one_accuracy"]),
        "quadratic_weighted_kappa": float(of_grades["quadratic_weighted_kappa"]),
        "accuracy_and_kappa": float(of_grades["accuracy_and_kappa"]),
        "gross_errors": float(of_grades["gross_errors"]),
        "crps": crps(make_monotone(cdf), truth),
        "mse": mse(prediction.mean, truth),
        "mae": mae(prediction.mean, truth),
    }


def border_aware_hits(erosion_percent: npt.ArrayLike, predicted_grade: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each predicted grade is a grade of the reading give or take 2.5 %, (n,).

    Readings lie on a 5 % grid with values on the borders between grades, so one of 20 % may stand for grade 1 or 2, and
    one of 0 for an erosion too slight to be read. Their mean over the grades is the border-aware accuracy
    (class-border-aware matching, Bucher, DeepXRay, BSc thesis HSLU 2020, among its open needs).

    Args:
        erosion_percent: Read erosion, 0-100, (n,).
        predicted_grade: Predicted grades 0-5, (n,).

    Raises:
        ValueError: A reading or a grade is outside its range, or the lengths differ.
    """
    truth, predicted = _readings(erosion_percent), _grades("predicted", predicted_grade, ratingen.N_GRADES)
    if truth.shape != predicted.shape:
        raise ValueError(f"readings and grades must have the same length, not {truth.shape}, {predicted.shape}")
    lowest, highest = (
        ratingen.grade(np.clip(truth + shift, 0, 100)) for shift in (-BORDER_TOLERANCE, BORDER_TOLERANCE)
    )
    return np.asarray((lowest <= predicted) & (predicted <= highest))


def moments(erosion_percent: npt.ArrayLike, predicted_percent: npt.ArrayLike) -> Floats:
    """What each joint adds to the sums that `r2` and `icc` are computed from: 1, x, y, x^2, y^2, xy, (n, 6).

    Args:
        erosion_percent: Read erosion x, 0-100, (n,).
        predicted_percent: Predicted erosion y, 0-100, (n,).
    """
    x = _readings(erosion_percent)
    y = x + _errors(predicted_percent, x)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def r2(sums: Floats) -> Floats:
    """Coefficient of determination: 1 less the squared errors over the squared distances of the readings to their mean.

    1 is a perfect prediction, 0 is as good as always answering the mean, and below is worse. NaN where all readings are
    the same.

    Args:
        sums: Sums of `moments` over joints, (..., 6).
    """
    n, x, _, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return 1 - divide(xx - 2 * xy + yy, xx - divide(x * x, n))


def icc(sums: Floats) -> Floats:
    """ICC(2,1): how well read and predicted percent agree, as two raters out of many, in absolute terms.

    Two-way random effects, single rater: (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n) with k = 2 raters, BMS
    the mean square between joints, JMS between raters, EMS the residual (Shrout and Fleiss, Psychol Bull
    1979;86:420-8). NaN with fewer than two joints, or where all values are the same.

    Args:
        sums: Sums of `moments` over joints, (..., 6).
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    within = (xx - 2 * xy + yy) / 2
    between_joints = (xx + 2 * xy + yy) / 2 - divide((x + y) ** 2, 2 * n)
    between_raters = divide((x - y) ** 2, 2 * n)
    bms, jms = divide(between_joints, n - 1), between_raters
    ems = divide(within - between_raters, n - 1)
    return divide(bms - ems, bms + ems + divide(2 * (jms - ems), n))


def sensitivity_at_specificity(
    score: npt.ArrayLike, positive: npt.ArrayLike, weight: npt.ArrayLike, specificity: float = SPECIFICITY
) -> Floats:
    """Share of the positive joints above the lowest threshold that at least this share of the others does not exceed.

    Args:
        score: Larger means more likely positive, (n,).
        positive: Whether each joint is, (n,).
        weight: How often each joint counts, (..., n).
        specificity: Between 0 and 1.

    Returns:
        The sensitivity, (...); NaN without positive or without negative joints.
    """
    score, weight = np.asarray(score, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    positive = np.asarray(positive, dtype=np.bool_)
    negative = np.flatnonzero(~positive)
    if not len(negative):
        return np.full(weight.shape[:-1], np.nan)
    ranked = negative[np.argsort(score[negative], kind="stable")]
    reached = np.cumsum(weight[..., ranked], axis=-1)
    wanted = specificity * reached[..., -1:]
    # Sums of whole numbers are exact; the product is not.
    threshold = score[ranked][np.argmax(reached >= wanted - 1e-9, axis=-1)]
    above = score[positive] > threshold[..., np.newaxis]
    found = (weight[..., positive] * above).sum(axis=-1)
    return np.where(reached[..., -1] > 0, divide(found, weight[..., positive].sum(axis=-1)), np.nan)


def pit(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> Floats:
    """Distribution function of each joint's probability integral transform at `PIT_LEVELS`, (n, 21).

    The distribution is discrete, so the transform of a reading y is not one number but spread evenly from F(y - 1) to
    F(y) (non-randomised PIT; Czado, Gneiting, Held, Biometrics 2009;65:1254-61). Averaged over joints it is the
    diagonal if the distributions are calibrated.

    Args:
        cdf: Monotone distribution functions, (n, 101).
        erosion_percent: Read erosion, 0-100, (n,); the point of a value between whole per cents is the next one.

    Raises:
        ValueError: Shapes do not fit, or a reading is missing or outside 0 to 100.
    """
    below, upto = around(cdf, erosion_percent)
    width = (upto - below)[:, np.newaxis]
    level = PIT_LEVELS[np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.clip((level - below[:, np.newaxis]) / width, 0, 1)
    return np.where(width > 0, rising, (level >= upto[:, np.newaxis]).astype(np.float64))


def pit_calibration_error(mean_pit: Floats) -> Floats:
    """Mean distance of the average PIT distribution from the diagonal: 0 is calibrated, 0.5 the worst.

    Args:
        mean_pit: Means of `pit` over joints, (..., 21).
    """
    return np.asarray(np.abs(mean_pit - PIT_LEVELS)[..., 1:-1].mean(axis=-1))


def around(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> tuple[Floats, Floats]:
    """F(y - 1) and F(y) at each joint's reading y, (n,) each, with F(-1) = 0.

    Args:
        cdf: Monotone distribution functions, (n, 101).
        erosion_percent: Read erosion, 0-100, (n,); the point of a value between whole per cents is the next one.

    Raises:
        ValueError: Shapes do not fit, or a reading is missing or outside 0 to 100.
    """
    truth = _readings(erosion_percent)
    _check_shape(cdf, truth)
    point = np.ceil(truth).astype(np.int64)
    row = np.arange(len(truth))
    upto = cdf[row, point].astype(np.float64)
    return np.where(point > 0, cdf[row, np.maximum(point - 1, 0)].astype(np.float64), 0.0), upto


def confidence_gaps(grade_probability: npt.NDArray[Any], grade: npt.ArrayLike) -> Floats:
    """What each joint adds to a reliability diagram of its likeliest grade: joint, probability, hit, by bin.

    Args:
        grade_probability: Probability of each grade, (n, 6).
        grade: Read grades, (n,).

    Returns:
        Zeros but for the joint's bin, (n, 10, 3).
    """
    truth = _grades("grade", grade, ratingen.N_GRADES)
    likeliest = np.argmax(grade_probability, axis=1)
    confidence = grade_probability[np.arange(len(truth)), likeliest]
    gaps = np.zeros((len(truth), CONFIDENCE_BINS, 3))
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    gaps[np.arange(len(truth)), bins] = np.stack([np.ones(len(truth)), confidence, likeliest == truth], axis=-1)
    return gaps


def expected_calibration_error(sums: Floats) -> Floats:
    """How far the probability of the likeliest grade is from how often it is right, on average over joints.

    Guo, Pleiss, Sun, Weinberger, ICML 2017 (arXiv 1706.04599), over ten bins of equal width: 0 is calibrated. NaN
    without joints.

    Args:
        sums: Sums of `confidence_gaps` over joints, (..., 10, 3).
    """
    n, confidence, hits = np.moveaxis(sums, -1, 0)
    return divide(np.abs(hits - confidence).sum(axis=-1), n.sum(axis=-1))


def smallest_detectable_change(squares: Floats, freedom: Floats, *, both_err: bool) -> Floats:
    """Smallest change of a patient's Rau score that is no mere error of measurement, with 95 % confidence.

    `1.96 * sqrt(2) * SEM`, SEM being the standard error of one measurement: a change is the difference of two. Any
    error that all radiographs of a patient share cancels in a change, so the error is taken within patients. This is the
    smallest detectable change of Bruynesteyn, Boers, Kostense, van der Linden, van der Heijde, Ann Rheum Dis
    2005;64:179-82, `1.96 * SD(difference of two raters' change scores) / sqrt(2)`, over all pairs of a patient's radiographs;
    the smallest detectable difference (Lassere et al., J Rheumatol 1999;26:731-9) would count the shared error and be
    larger.

    Against the truth the error is the method's own, and SEM its SD: the formula of Rau and Wassenberg, 2.8 times the SD
    of a reader. Against a reading both err. As between two readers, each is given half of the variance, so SEM is the
    SD over sqrt(2); if the reading were without error, the method's own figure would be sqrt(2) times as large.

    Args:
        squares: Sum over patients of the squared distances of their radiographs' errors to the patient's mean error, (...).
        freedom: Sum over patients of their number of radiographs less one, (...).
        both_err: Whether the error is that of two, as against a reading.

    Returns:
        The change, in the unit of the errors, (...); NaN if no patient has two radiographs.
    """
    error = np.sqrt(divide(squares, freedom))
    sem = error / np.sqrt(2) if both_err else error
    return np.asarray(1.96 * np.sqrt(2) * sem)


def mean_share(hits: Floats, counts: Floats) -> Floats:
    """Mean over the grades of hits / counts; grades without joints are left out, (..., k) to (...)."""
    present = counts > 0
    return divide(np.where(present, divide(hits, counts), 0).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """The quotient, and NaN where the denominator is 0: without joints there is no mean."""
    over, under = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    quotient = np.full(over.shape, np.nan)
    np.divide(over, under, out=quotient, where=under != 0)
    return quotient


def _check_shape(cdf: npt.NDArray[Any], truth: Floats) -> None:
    if cdf.shape != (len(truth), N_POINTS):
        raise ValueError(f"cdf must have shape ({len(truth)}, {N_POINTS}), one row a reading, not {cdf.shape}")


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


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
