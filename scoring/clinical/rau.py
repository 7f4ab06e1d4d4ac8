"""The Rau score: the sum of a patient's Ratingen grades, on the scale of the 38 joints of the original score (0-190).

Source: Rau, Wassenberg, Herborn, Stucki, Gebler, J Rheumatol 1998;25:2094-107. All 38 joints are rarely scored, so the
sum is scaled: `sum(grades) * 38 / n_scored`. This assumes that joints without a score have, on average, the grades of
the scored joints. A score from fewer than the registry's 32 joints is therefore flagged as extrapolated, and every
score is reported with its `n_scored`.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scoring.clinical.ranges import check_range, raise_where
from scoring.clinical.ratingen import MAX_GRADE, N_GRADES

Floats: TypeAlias = npt.NDArray[np.float64]

RATINGEN_TOTAL = 38
"""Number of joints of the original score, to which every Rau score is scaled."""

USUAL_SET = 32
"""Number of joints that the registry reads; a score from fewer joints is extrapolated."""

MAX_SCORE = MAX_GRADE * RATINGEN_TOTAL

HUMAN_SDC = 6.3
"""Smallest detectable change of human readers, in points: 3.3 % of 190.

Source: Rau and Wassenberg 2007, Tab. 2.2, all readers; called minimal detectable change there, 2.8 times the SD of a
reader's error. It applies to 38 joints; a score that is extrapolated from ten joints is noisier.
"""

# Grade probabilities are stored as float32, and quantiles are found in sums of many products.
_SUM_TOLERANCE = 1e-3
_QUANTILE_TOLERANCE = 1e-9


def rau_score(grades: npt.ArrayLike) -> float | Floats:
    """Return the Rau score of grades along the last axis.

    Args:
        grades: Ratingen grades 0-5, shape (..., n_joints); NaN where a joint was not scored, which includes operated
            joints (prosthesis, fusion).

    Returns:
        `sum * 38 / n_scored`, 0-190, shape (...); a float for one-dimensional input. NaN where no joint was scored.

    Raises:
        ValueError: A grade is not a whole number between 0 and 5, or there is no joint axis.
    """
    checked = _grades(grades)
    counted = np.sum(~np.isnan(checked), axis=-1)
    # 0 / 0 must be NaN: a patient without a scored joint has no score, not the best score.
    with np.errstate(invalid="ignore"):
        score = np.nansum(checked, axis=-1) * RATINGEN_TOTAL / counted
    return float(score) if np.ndim(score) == 0 else np.asarray(score, dtype=np.float64)


def rau_distribution(grade_probability: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the distribution of the Rau score from grade probabilities per joint.

    The grade distributions are convolved, which assumes that the grades of a patient's joints are independent **given
    their images**: the network's error on one joint does not inform about the next. Errors shared by all joints of a
    radiograph (exposure, a habit of the readers of the training set) widen the true spread. Joints without a score add
    no spread: the distribution is that of the scaled score, not of a full set of 38 joints.

    Args:
        grade_probability: Probability of the grades 0-5, shape (..., n_joints, 6), scored joints only. The six must sum
            to 1 within 0.001; they are normalised.

    Returns:
        The 5 * n_joints + 1 possible scores, ascending, and their probabilities, shape (..., 5 * n_joints + 1).

    Raises:
        ValueError: There is no joint, there are not six grades, or a value is not a probability.
    """
    grade_mass = _grade_mass(grade_probability)
    n_joints = grade_mass.shape[-2]
    if n_joints == 0:
        raise ValueError("grade_probability has no joint, but a Rau score needs at least one.")
    mass = grade_mass[..., 0, :]
    for joint in range(1, n_joints):
        mass = _add_joint(mass, grade_mass[..., joint, :])
    return np.arange(MAX_GRADE * n_joints + 1) * RATINGEN_TOTAL / n_joints, mass


def expectation(support: Floats, probability: Floats) -> Floats:
    """Return the mean of distributions over a common support; shapes (k,) and (..., k) to (...)."""
    # A matrix product would round differently depending on the number of rows per call. A score that changes in its
    # last digit between runs would be rewritten in the warehouse every time.
    return np.asarray(np.sum(support * probability, axis=-1), dtype=np.float64)


def quantile(support: Floats, probability: Floats, level: float) -> Floats:
    """Return the quantiles, shape (...), of distributions at a level between 0 and 1.

    A quantile is the smallest value of the ascending support, shape (k,), at which the cumulative probability, from
    shape (..., k), reaches the level.
    """
    reached = np.cumsum(probability, axis=-1) >= level - _QUANTILE_TOLERANCE
    return np.asarray(support[np.argmax(reached, axis=-1)], dtype=np.float64)


def _grades(grades: npt.ArrayLike) -> Floats:
    checked = check_range("grade", grades, 0, MAX_GRADE)
    if checked.ndim == 0:
        raise ValueError("grades must be an array with the joints along its last axis, not a single number.")
    raise_where("grade", ~np.isnan(checked) & (checked != np.round(checked)), "a whole number")
    return checked


def _grade_mass(grade_probability: npt.ArrayLike) -> Floats:
    mass = np.asarray(grade_probability, dtype=np.float64)
    if mass.ndim < 2 or mass.shape[-1] != N_GRADES:
        raise ValueError(f"grade_probability must have shape (..., n_joints, {N_GRADES}), not {mass.shape}.")
    mass = check_range("grade_probability", mass, 0, 1)
    total = mass.sum(axis=-1)
    raise_where("grade_probability of a joint", ~(np.abs(total - 1) <= _SUM_TOLERANCE), "six numbers that sum to 1")
    return np.asarray(mass / total[..., np.newaxis], dtype=np.float64)


def _add_joint(mass: Floats, joint: Floats) -> Floats:
    """Add a joint to the distribution of a sum of grades; shapes (..., k) and (..., 6) to (..., k + 5)."""
    k = mass.shape[-1]
    added = np.zeros((*mass.shape[:-1], k + MAX_GRADE))
    for grade in range(N_GRADES):
        added[..., grade : grade + k] += mass * joint[..., grade, np.newaxis]
    return added
