"""The Rau score: the sum of a patient's Ratingen grades, on the scale of the 38 joints of the original score (0-190).

Rau, Wassenberg, Herborn, Stucki, Gebler, J Rheumatol 1998;25:2094-107. Seldom are all 38 joints scored, so the sum is
scaled: `sum(grades) * 38 / n_scored`. That assumes that joints nobody scored are on average like the scored ones; a
score from fewer than the registry's 32 joints is therefore flagged as extrapolated, and `n_scored` travels with it.
"""

import numpy as np
import numpy.typing as npt

from scoring.clinical.ranges import refuse_where, within
from scoring.clinical.ratingen import MAX_GRADE, N_GRADES

RATINGEN_TOTAL = 38
"""Joints of the original score, to which every Rau score is scaled."""

USUAL_SET = 32
"""Joints of the registry's form; a score from fewer is extrapolated."""

MAX_SCORE = MAX_GRADE * RATINGEN_TOTAL

HUMAN_SDC = 6.3
"""Smallest detectable change by human readers, of 190: 3.3 % (Rau and Wassenberg 2007, Tab. 2.2, all readers).

They call it minimal detectable change, 2.8 times the SD of a reader's error. It holds for 38 joints; a score that is
extrapolated from ten is noisier.
"""

# Grade probabilities are kept as float32, and quantiles are looked up in sums of many products.
_SUM_TOLERANCE = 1e-3
_QUANTILE_TOLERANCE = 1e-9


def n_scored(grades: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Number of grades along the last axis that are not NaN."""
    return np.asarray(np.sum(~np.isnan(_grades(grades)), axis=-1), dtype=np.int64)


def rau_score(grades: npt.ArrayLike) -> float | npt.NDArray[np.float64]:
    """Rau score of grades along the last axis.

    Args:
        grades: Ratingen grades 0-5, shape (..., n_joints); NaN where a joint was not scored, which includes operated
            joints (prosthesis, fusion).

    Returns:
        `sum * 38 / n_scored`, 0-190, shape (...); a float if there was one axis. NaN where no joint was scored.

    Raises:
        ValueError: A grade is not a whole number within 0 to 5, or there is no joint axis.
    """
    checked = _grades(grades)
    counted = np.sum(~np.isnan(checked), axis=-1)
    # 0 / 0 is meant to be NaN: a patient without a scored joint has no score, not the best one.
    with np.errstate(invalid="ignore"):
        score = np.nansum(checked, axis=-1) * RATINGEN_TOTAL / counted
    return float(score) if np.ndim(score) == 0 else np.asarray(score, dtype=np.float64)


def rau_distribution(grade_probability: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distribution of the Rau score of joints whose grades are known only as probabilities.

    The grade distributions are convolved. That takes the grades of a patient's joints to be independent **given their
    images**: what the network does not know about one joint says nothing about the next. An error that all joints of a
    radiograph share (exposure, a habit of the readers the network learned from) makes the true spread wider. Joints that were
    not scored add no spread either: the distribution is that of the scaled score, not of a full set of 38 joints.

    Args:
        grade_probability: Probability of the grades 0-5, shape (..., n_joints, 6), scored joints only. Each joint's
            must sum to 1 within 0.001 and are normalised.

    Returns:
        The 5 * n_joints + 1 possible scores, ascending, and their probabilities, shape (..., 5 * n_joints + 1).

    Raises:
        ValueError: No joint, not six grades, or not a probability.
    """
    grade_mass = _grade_mass(grade_probability)
    n_joints = grade_mass.shape[-2]
    if n_joints == 0:
        raise ValueError("grade_probability has no joint: without one there is no Rau score")
    mass = grade_mass[..., 0, :]
    for joint in range(1, n_joints):
        mass = _add_joint(mass, grade_mass[..., joint, :])
    return np.arange(MAX_GRADE * n_joints + 1) * RATINGEN_TOTAL / n_joints, mass


def expectation(support: npt.NDArray[np.float64], probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean of distributions over a common support, shapes (k,) and (..., k) to (...)."""
    # Not a matrix product: its rounding depends on how many rows share a call, and a score that moves in its last digit
    # from night to night would be rewritten in the warehouse every time.
    return np.asarray(np.sum(support * probability, axis=-1), dtype=np.float64)


def quantile(
    support: npt.NDArray[np.float64], probability: npt.NDArray[np.float64], level: float
) -> npt.NDArray[np.float64]:
    """Smallest value of the support at which the cumulated probability reaches the level.

    Args:
        support: Values, ascending, shape (k,).
        probability: Their probabilities, shape (..., k).
        level: Between 0 and 1.

    Returns:
        Quantiles, shape (...).
    """
    reached = np.cumsum(probability, axis=-1) >= level - _QUANTILE_TOLERANCE
    return np.asarray(support[np.argmax(reached, axis=-1)], dtype=np.float64)


def _grades(grades: npt.ArrayLike) -> npt.NDArray[np.float64]:
    checked = within("grade", grades, 0, MAX_GRADE)
    if checked.ndim == 0:
        raise ValueError("grades must be an array with the joints along its last axis, not one number")
    refuse_where("grade", ~np.isnan(checked) & (checked != np.round(checked)), "a whole number")
    return checked


def _grade_mass(grade_probability: npt.ArrayLike) -> npt.NDArray[np.float64]:
    mass = np.asarray(grade_probability, dtype=np.float64)
    if mass.ndim < 2 or mass.shape[-1] != N_GRADES:
        raise ValueError(f"grade_probability must have shape (..., n_joints, {N_GRADES}), not {mass.shape}")
    mass = within("grade_probability", mass, 0, 1)
    total = mass.sum(axis=-1)
    refuse_where("grade_probability of a joint", ~(np.abs(total - 1) <= _SUM_TOLERANCE), "six numbers that sum to 1")
    return np.asarray(mass / total[..., np.newaxis], dtype=np.float64)


def _add_joint(mass: npt.NDArray[np.float64], joint: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distribution of a sum of grades after one more joint; shapes (..., k) and (..., 6) to (..., k + 5)."""
    k = mass.shape[-1]
    added = np.zeros((*mass.shape[:-1], k + MAX_GRADE))
    for grade in range(N_GRADES):
        added[..., grade : grade + k] += mass * joint[..., grade, np.newaxis]
    return added
