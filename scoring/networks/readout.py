"""Read-out: from the network's distribution to expected erosion, interval, grade and grade probabilities.

For every k = 0..100 the network predicts the probability that the erosion is at most k percent: 101 sigmoids that form
a cumulative distribution function. Nothing forces free sigmoids to rise with k or to end at 1, so they are first made
monotone. The read-out is in numpy and the same for all engines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen

N_POINTS = 101
"""Points of the distribution function: 0, 1, ..., 100 percent."""

PREDICTED_ZERO_BELOW = 1.0
"""A predicted mean below this percentage reads as grade 0, because a mean of exactly 0 is never predicted."""

MOST_PROBABLE = "most_probable"
BY_MEAN = "mean"
WEIGHTED_MEDIAN = "weighted_median"


@dataclass(frozen=True)
class ReadOutRule:
    """How grade and interval are read from a distribution; part of the model's manifest.

    Attributes:
        grade_by: `mean`: the grade whose range contains the expected erosion. `most_probable`: the most probable grade.
            `weighted_median`: the smallest grade at which the cumulated weighted probability reaches one half.
        borders: Upper borders of grades 0 to 4 for the expected erosion, in percent. The first belongs to grade 1, the
            others to the lower grade.
        interval_level: Probability within the central interval. An overconfident network needs more than 0.90 for an
            interval that contains 90 of 100 readings (`scoring.training.evaluation.calibration.conformal_level`).
        weights: Factors for the grade probabilities, for the weighted median only. Larger weights of rare grades trade
            accuracy for class-normalised accuracy.
    """

    grade_by: str = BY_MEAN
    borders: tuple[float, ...] = (PREDICTED_ZERO_BELOW, *ratingen.UPPER_BORDERS[1:])
    interval_level: float = 0.90
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.grade_by not in (allowed := (BY_MEAN, MOST_PROBABLE, WEIGHTED_MEDIAN)):
            raise ValueError(f"grade_by is {self.grade_by!r}. Use one of {', '.join(allowed)}.")
        if len(self.borders) != ratingen.N_GRADES - 1 or list(self.borders) != sorted(self.borders):
            raise ValueError(f"borders must be {ratingen.N_GRADES - 1} rising percentages.")
        if (self.grade_by == WEIGHTED_MEDIAN) != (self.weights is not None):
            raise ValueError(f"weights are required for {WEIGHTED_MEDIAN} and not allowed otherwise.")
        if self.weights is not None and (len(self.weights) != ratingen.N_GRADES or min(self.weights) <= 0):
            raise ValueError(f"weights must be {ratingen.N_GRADES} numbers above 0.")
        if not 0 <= self.interval_level <= 1:
            raise ValueError("interval_level must be between 0 and 1.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ReadOutRule":
        """Return the rule of a manifest, which JSON has turned into lists."""
        weights = values.get("weights")
        return cls(**{**values, "borders": tuple(values["borders"]), "weights": weights and tuple(weights)})

    def grade(self, mean: npt.NDArray[np.float64], probability: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return grades, int64 (n,), for expected erosions (n,) and grade probabilities (n, 6)."""
        if self.grade_by == MOST_PROBABLE:
            return np.asarray(np.argmax(probability, axis=1), dtype=np.int64)
        if self.weights is not None:
            cumulated = np.cumsum(probability * np.array(self.weights), axis=1)
            return np.asarray(np.argmax(cumulated >= cumulated[:, -1:] / 2, axis=1), dtype=np.int64)
        above = np.maximum(np.searchsorted(self.borders, mean, side="left"), 1)
        return np.asarray(np.where(mean < self.borders[0], 0, above), dtype=np.int64)


USUAL_RULE = ReadOutRule()
"""The borders of the Ratingen score, except that a mean below 1 % reads as grade 0; 5 % and 95 % quantiles."""


@dataclass(frozen=True)
class ReadOut:
    """Read-out of n joints.

    Attributes:
        mean: Expected erosion in percent, 0-100, float64 (n,).
        median: Median in whole percent, int64 (n,).
        q05: Lower bound of the central interval (90 % unless the rule has another level), int64 (n,).
        q95: Upper bound of the central interval, int64 (n,).
        grade: Ratingen grade, int64 (n,).
        grade_probability: Probability of each grade 0-5, float64 (n, 6); rows sum to 1.
    """

    mean: npt.NDArray[np.float64]
    median: npt.NDArray[np.int64]
    q05: npt.NDArray[np.int64]
    q95: npt.NDArray[np.int64]
    grade: npt.NDArray[np.int64]
    grade_probability: npt.NDArray[np.float64]


def make_monotone(cdf: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn raw sigmoids into distribution functions: the running maximum over k, and 1 at k = 100.

    The running maximum keeps the largest probability that the network gave to an erosion of at most k percent; a dip at
    a larger k cannot lower it.

    Args:
        cdf: Probabilities that the erosion is at most k percent, float (n, 101), within 0 to 1.

    Returns:
        The distribution functions, same shape and type, in a new array.

    Raises:
        ValueError: The shape is not (n, 101), or a value is not a probability; the message has its index.
    """
    if cdf.ndim != 2 or cdf.shape[1] != N_POINTS:
        raise ValueError(f"cdf must have shape (n, {N_POINTS}), not {cdf.shape}.")
    bad = ~((cdf >= 0) & (cdf <= 1))
    if bad.any():
        row, point = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"cdf must be between 0 and 1; the value at index ({row}, {point}) is not.")
    monotone = np.maximum.accumulate(cdf, axis=1)
    monotone[:, -1] = 1
    return monotone


def read_out(cdf: npt.NDArray[Any], rule: ReadOutRule = USUAL_RULE) -> ReadOut:
    """Read mean, quantiles and grades from the output of the network.

    With F the monotone distribution function, the mean is the sum over k = 0..99 of (1 - F[k]), a quantile is the
    smallest k with F[k] >= level, and P(grade 0) = F[0], P(1) = F[20] - F[0], ..., P(5) = 1 - F[80].

    Args:
        cdf: Raw or monotone output of the network, float (n, 101).
        rule: Read-out rule for grade and interval.

    Raises:
        ValueError: The shape is not (n, 101), or a value is not a probability; the message has its index.
    """
    cumulated = make_monotone(cdf).astype(np.float64)
    mean = np.sum(1 - cumulated[:, :-1], axis=1)
    borders = cumulated[:, [int(border) for border in ratingen.UPPER_BORDERS]]
    probability = np.diff(borders, axis=1, prepend=0, append=1)
    return ReadOut(
        mean=mean,
        median=_quantile(cumulated, 0.50),
        # Rounded because 1 - 0.9 is not exactly 0.1 in binary.
        q05=_quantile(cumulated, round((1 - rule.interval_level) / 2, 12)),
        q95=_quantile(cumulated, round((1 + rule.interval_level) / 2, 12)),
        grade=rule.grade(mean, probability),
        grade_probability=probability,
    )


def _quantile(cumulated: npt.NDArray[np.float64], level: float) -> npt.NDArray[np.int64]:
    return np.asarray(np.argmax(cumulated >= level, axis=1), dtype=np.int64)
