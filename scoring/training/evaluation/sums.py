"""Measures as functions of sums over joints or radiographs.

Some functions return the contribution of each joint to a sum, the others the measure of such sums. Sums may have
leading axes of any shape, so one call computes a measure for a thousand resamples of the patients
(`evaluation.bootstrap`).

`erosion_percent` is the read erosion, 0-100, (n,), and `cdf` has monotone distribution functions, (n, 101). Functions
of these raise a ValueError if shapes do not fit, or if a reading is missing or outside 0 to 100.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.clinical.ranges import raise_where
from scoring.networks.readout import N_POINTS

Floats = npt.NDArray[np.float64]

BORDER_TOLERANCE = 2.5
"""Half a step of the readers' 5 % grid: a reading of 20 % means an erosion of 17.5 to 22.5 %."""

SPECIFICITY = 0.99
"""The specificity at which the sensitivity is taken: 1 in 100 of the many healthy joints may be called eroded."""

PIT_LEVELS = np.arange(21) / 20
"""Levels at which the distribution of the probability integral transform (PIT) is compared with the uniform one."""

CONFIDENCE_BINS = 10
"""Number of bins of equal width for the predicted probability of the most probable grade."""


def border_aware_hits(erosion_percent: npt.ArrayLike, predicted_grade: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return True where the predicted grade, 0-5, is a grade of the reading plus or minus 2.5 points, (n,).

    Readings are multiples of 5 %, some on the border between two grades: a reading of 20 may be grade 1 or 2, and a
    reading of 0 may be an erosion too slight to be read. The mean over the grades is the border-aware accuracy
    (class-border-aware matching, Bucher, DeepXRay, BSc thesis HSLU 2020, listed there as an open need).
    """
    truth, predicted = check_readings(erosion_percent), check_grades("predicted", predicted_grade)
    lowest, highest = (
        ratingen.grade(np.clip(truth + shift, 0, 100)) for shift in (-BORDER_TOLERANCE, BORDER_TOLERANCE)
    )
    return np.asarray((lowest <= predicted) & (predicted <= highest))


def squared_cdf_distance(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> Floats:
    """Return the CRPS of each joint: the mean over k of (F[k] - H(k - R))^2, (n,); see `metrics.crps`."""
    truth = _check_cdf(cdf, erosion_percent)
    target = np.arange(N_POINTS) >= truth[:, np.newaxis]
    return np.asarray(np.mean((cdf - target) ** 2, axis=1, dtype=np.float64))


def moments(erosion_percent: npt.ArrayLike, predicted_percent: npt.ArrayLike) -> Floats:
    """Return 1, x, y, x^2, y^2 and xy of each joint's read erosion x and predicted erosion y, (n, 6)."""
    x, y = check_readings(erosion_percent), np.asarray(predicted_percent, dtype=np.float64)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def r2(sums: Floats) -> Floats:
    """Return the coefficient of determination from sums of `moments`, (..., 6).

    1 - sum of squared errors / sum of squares about the mean reading: 1 is a perfect prediction, 0 is as good as
    predicting the mean, and below is worse. NaN where all readings are equal.
    """
    n, x, _, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return 1 - divide(xx - 2 * xy + yy, xx - divide(x * x, n))


def icc(sums: Floats) -> Floats:
    """Return ICC(2,1), the absolute agreement of reading and prediction, from sums of `moments`, (..., 6).

    Two-way random effects, single rater: (BMS - EMS) / (BMS + (k - 1) EMS + k (JMS - EMS) / n) with k = 2 raters, BMS
    the mean square between joints, JMS between raters, EMS the residual (Shrout and Fleiss, Psychol Bull
    1979;86:420-8). NaN with fewer than two joints, or where all values are equal.
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
    """Return the sensitivity at the lowest threshold of the score that reaches the specificity, (...).

    A joint with a larger score, (n,), is more likely positive, and counts as often as its weight, (..., n), says. NaN
    without positive or without negative joints.
    """
    score, weight = np.asarray(score, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    positive = np.asarray(positive, dtype=np.bool_)
    negative = np.flatnonzero(~positive)
    if not len(negative):
        return np.full(weight.shape[:-1], np.nan)
    ranked = negative[np.argsort(score[negative], kind="stable")]
    cumulated = np.cumsum(weight[..., ranked], axis=-1)
    required = specificity * cumulated[..., -1:]
    # Sums of whole numbers are exact; the product is not.
    threshold = score[ranked][np.argmax(cumulated >= required - 1e-9, axis=-1)]
    above = score[positive] > threshold[..., np.newaxis]
    found = (weight[..., positive] * above).sum(axis=-1)
    return np.where(cumulated[..., -1] > 0, divide(found, weight[..., positive].sum(axis=-1)), np.nan)


def pit(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> Floats:
    """Return the distribution function of each joint's probability integral transform at `PIT_LEVELS`, (n, 21).

    The predicted distribution is discrete, so the transform of a reading y is uniform between F(y - 1) and F(y)
    (non-randomised PIT; Czado, Gneiting, Held, Biometrics 2009;65:1254-61). If the predictions are calibrated, the
    average over joints is the diagonal. A reading between whole percents counts as the next one.
    """
    below, upto = cdf_around(cdf, erosion_percent)
    width = (upto - below)[:, np.newaxis]
    level = PIT_LEVELS[np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = np.clip((level - below[:, np.newaxis]) / width, 0, 1)
    return np.where(width > 0, rising, (level >= upto[:, np.newaxis]).astype(np.float64))


def pit_calibration_error(mean_pit: Floats) -> Floats:
    """Return the mean distance of means of `pit`, (..., 21), from the diagonal: 0 is calibrated, 0.5 the worst."""
    return np.asarray(np.abs(mean_pit - PIT_LEVELS)[..., 1:-1].mean(axis=-1))


def cdf_around(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return F(y - 1) and F(y) at each joint's reading y, (n,) each, with F(-1) = 0; see `pit`."""
    truth = _check_cdf(cdf, erosion_percent)
    point = np.ceil(truth).astype(np.int64)
    row = np.arange(len(truth))
    upto = cdf[row, point].astype(np.float64)
    return np.where(point > 0, cdf[row, np.maximum(point - 1, 0)].astype(np.float64), 0.0), upto


def confidence_bins(grade_probability: npt.NDArray[Any], grade: npt.ArrayLike) -> Floats:
    """Return the contribution of each joint to a reliability diagram of its most probable grade, (n, 10, 3).

    In the joint's bin, these are 1, the probability, and whether the grade is correct; in the other bins 0. The
    arguments are the probability of each grade, (n, 6), and the read grades, (n,).
    """
    truth = check_grades("grade", grade)
    most_probable = np.argmax(grade_probability, axis=1)
    row = np.arange(len(truth))
    confidence = grade_probability[row, most_probable]
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.int64), CONFIDENCE_BINS - 1)
    contributions = np.zeros((len(truth), CONFIDENCE_BINS, 3))
    contributions[row, bins] = np.stack([np.ones(len(truth)), confidence, most_probable == truth], axis=-1)
    return contributions


def expected_calibration_error(sums: Floats) -> Floats:
    """Return the expected calibration error of the most probable grade from sums of `confidence_bins`, (..., 10, 3).

    The mean difference between its probability and how often it is correct, over ten bins of equal width: 0 is
    calibrated, NaN without joints (Guo, Pleiss, Sun, Weinberger, ICML 2017, arXiv 1706.04599).
    """
    n, confidence, hits = np.moveaxis(sums, -1, 0)
    return divide(np.abs(hits - confidence).sum(axis=-1), n.sum(axis=-1))


def smallest_detectable_change(squares: Floats, freedom: Floats, *, reference_errs: bool) -> Floats:
    """Return the smallest change of a patient's Rau score that exceeds the measurement error with 95 % confidence.

    `1.96 * sqrt(2) * SEM`, where SEM is the standard error of one measurement: a change is the difference of two. An
    error that all radiographs of a patient share cancels in a change, so the error is taken within patients. This is
    the smallest detectable change of Bruynesteyn, Boers, Kostense, van der Linden, van der Heijde, Ann Rheum Dis
    2005;64:179-82, `1.96 * SD(difference of two raters' change scores) / sqrt(2)`, over all pairs of a patient's
    radiographs; the smallest detectable difference (Lassere et al., J Rheumatol 1999;26:731-9) would include the shared
    error and be larger.

    Against the truth, the error is the method's own, and SEM its SD: the formula of Rau and Wassenberg, 2.8 times the
    SD of a reader. Against a reading, both err. As between two readers, each is assigned half of the variance, so SEM
    is the SD over sqrt(2); with an error-free reading, the method's own figure would be sqrt(2) times as large.

    `squares` is the sum over patients of the squared distances of their radiographs' errors from their mean error, and
    `freedom` that of their number of radiographs minus one, (...) both. `reference_errs` is True if the reference is a
    reading. The result is in the unit of the errors; NaN if no patient has two radiographs.
    """
    error = np.sqrt(divide(squares, freedom))
    sem = error / np.sqrt(2) if reference_errs else error
    return np.asarray(1.96 * np.sqrt(2) * sem)


def mean_over_grades(hits: Floats, counts: Floats) -> Floats:
    """Return the mean of hits / counts over the grades that have joints, (..., k) to (...)."""
    present = counts > 0
    return divide(np.where(present, divide(hits, counts), 0).sum(axis=-1), present.sum(axis=-1).astype(np.float64))


def divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """Return the quotient, and NaN where the denominator is 0: without joints there is no mean."""
    over, under = np.broadcast_arrays(numerator, denominator)
    quotient = np.full(over.shape, np.nan)
    np.divide(over, under, out=quotient, where=under != 0)
    return quotient


def check_grades(name: str, grades: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the grades as int64 after checking that they are whole numbers within 0 to 5."""
    given = np.asarray(grades, dtype=np.float64)
    raise_where(name, ~np.isin(given, range(ratingen.N_GRADES)), "a whole number within 0 to 5")
    return given.astype(np.int64)


def check_readings(erosion_percent: npt.ArrayLike) -> Floats:
    """Return the readings as float64 after checking that none is missing or outside 0 to 100."""
    readings = np.asarray(erosion_percent, dtype=np.float64)
    raise_where("erosion_percent", ~((readings >= 0) & (readings <= 100)), "present and between 0 and 100")
    return readings


def _check_cdf(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> Floats:
    truth = check_readings(erosion_percent)
    if cdf.shape != (len(truth), N_POINTS):
        raise ValueError(f"cdf must have shape ({len(truth)}, {N_POINTS}), one row per reading, not {cdf.shape}.")
    return truth
