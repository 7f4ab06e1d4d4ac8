"""Loss functions. Each compares two distribution functions over 0, ..., 100 percent.

The arguments of every loss are `y_true`, a tensor of shape `(batch_size, 101)` from `cdf_target`, and `y_pred`, the
predicted distribution functions of the same shape. The result is a float32 tensor of shape `(batch_size,)`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from scoring.clinical import ratingen
from scoring.networks.heads import GRID_STEP, SMALLEST_PROBABILITY
from scoring.networks.readout import N_POINTS

# Share of a reading given to each neighbour on the 5 % grid, because readers often differ by one step. The lowest and
# the highest reading have only one neighbour.
_SMOOTHING = 0.1


def cdf_target(erosion_percent: Any) -> Any:
    """Return the distribution function of a certain reading: a step from 0 to 1 at the percentage.

    Args:
        erosion_percent: Eroded share of the joint surface in percent, 0 to 100; tensor or array of shape `(n,)`.

    Returns:
        Float32 tensor of shape `(n, 101)`: 1 for every k = 0, ..., 100 at or above the reading, otherwise 0.
    """
    readings = ops.expand_dims(ops.cast(erosion_percent, "float32"), -1)
    return ops.cast(ops.arange(N_POINTS, dtype="float32") >= readings, "float32")


def crps_loss(y_true: Any, y_pred: Any) -> Any:
    """Return the continuous ranked probability score: the mean squared difference of two distribution functions.

    As in the thesis, the mean is over the 101 points 0, 1, ..., 100 percent, so the score is between 0 (certain and
    right) and 1.
    """
    difference = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
    return ops.mean(ops.square(difference), axis=-1)


def grade_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Return the cross-entropy of the six Ratingen grades, the classification loss of the thesis."""
    ends = np.array([*ratingen.UPPER_BORDERS, 100], dtype=np.int64)
    return _crossentropy(_cells(y_true, ends), _cells(y_pred, ends))


def grid_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Return the cross-entropy over the 21 readings of the 5 % grid, with a tenth of a reading on each neighbour.

    It separates 0 from 5 percent as sharply as 50 from 90. The CRPS does not: it counts 5 of 101 points for the first.
    """
    ends = np.arange(0, N_POINTS, GRID_STEP)
    return _crossentropy(ops.matmul(_cells(y_true, ends), grid_smoothing(len(ends))), _cells(y_pred, ends))


def squared_error(y_true: Any, y_pred: Any) -> Any:
    """Return the squared error of the expected erosion, as a fraction of the surface."""
    difference = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
    # The mean of a distribution on 0..100 is the sum over k < 100 of 1 - F[k].
    return ops.square(ops.sum(difference[:, :-1], axis=-1) / 100.0)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "crps": crps_loss,
    "grade_crossentropy": grade_crossentropy,
    "grid_crossentropy": grid_crossentropy,
    "squared_error": squared_error,
}


def _cells(cdf: Any, ends: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """Return the probabilities of the cells that end at these percentages, `(batch_size, len(ends))`."""
    cumulated = ops.take(ops.cast(cdf, "float32"), ends, axis=1)
    return cumulated - ops.pad(cumulated[:, :-1], ((0, 0), (1, 0)))


def _crossentropy(target: Any, predicted: Any) -> Any:
    return -ops.sum(target * ops.log(ops.maximum(predicted, SMALLEST_PROBABILITY)), axis=-1)


def grid_smoothing(n: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the smoothing matrix of `grid_crossentropy`, `(n, n)`: row i is the target for a joint with reading i."""
    neighbours = _SMOOTHING * (np.eye(n, k=1) + np.eye(n, k=-1))
    return np.asarray(neighbours + np.diag(1 - neighbours.sum(axis=1)), dtype=np.float32)
