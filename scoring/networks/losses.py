"""What a network is trained to make small. All losses compare two distribution functions over 0, ..., 100 per cent."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from scoring.clinical import ratingen
from scoring.networks.heads import GRID_STEP, SMALLEST_PROBABILITY
from scoring.networks.readout import N_POINTS

# Share of a reading that is laid on each neighbour of the 5 % grid: readers often differ by one step. 0 and 100 per
# cent have one neighbour only.
_SMOOTHING = 0.1


def cdf_target(erosion_percent: Any) -> Any:
    """The distribution function of a reading that is taken as certain: a step from 0 to 1 at the read percentage.

    Args:
        erosion_percent: Share of the joint's surface that is eroded, 0 to 100; tensor or array of shape `(n,)`.

    Returns:
        Float32 tensor of shape `(n, 101)`: 1 at every k = 0, ..., 100 that is not below the reading, else 0.

    Example:
    >>> target = cdf_target([0.0, 20.0, 100.0])
    >>> ops.convert_to_numpy(ops.sum(1 - target, axis=-1))
    array([  0.,  20., 100.], dtype=float32)
    """
    readings = ops.expand_dims(ops.cast(erosion_percent, "float32"), -1)
    return ops.cast(ops.arange(N_POINTS, dtype="float32") >= readings, "float32")


def crps_loss(y_true: Any, y_pred: Any) -> Any:
    """Continuous ranked probability score: the mean squared difference of two distribution functions.

    The thesis's form: the mean over the 101 points 0, 1, ..., 100 per cent, so between 0 (certain and right) and 1.

    Args:
        y_true: Tensor of shape `(batch_size, 101)`, see `cdf_target`.
        y_pred: Predicted distribution function, same shape.

    Returns:
        Float32 tensor of shape `(batch_size,)`.

    Example:
    >>> float(crps_loss(cdf_target([0.0]), ops.zeros((1, 101)))[0])
    1.0
    """
    difference = ops.cast(y_true, "float32") - ops.cast(y_pred, "float32")
    return ops.mean(ops.square(difference), axis=-1)


def grade_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy of the six Ratingen grades, the loss of the thesis's classification.

    Args:
        y_true: Tensor of shape `(batch_size, 101)`, see `cdf_target`.
        y_pred: Predicted distribution function, same shape.

    Returns:
        Float32 tensor of shape `(batch_size,)`.
    """
    ends = np.array([*ratingen.UPPER_BORDERS, 100], dtype=np.int64)
    return _crossentropy(_cells(y_true, ends), _cells(y_pred, ends))


def grid_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy over the 21 readings of the 5 % grid, with a tenth of a reading laid on each neighbouring one.

    It tells 0 from 5 per cent as sharply as 50 from 90, which the CRPS does not: there the first difference is five of
    101 points.

    Args:
        y_true: Tensor of shape `(batch_size, 101)`, see `cdf_target`.
        y_pred: Predicted distribution function, same shape.

    Returns:
        Float32 tensor of shape `(batch_size,)`.
    """
    ends = np.arange(0, N_POINTS, GRID_STEP)
    return _crossentropy(ops.matmul(_cells(y_true, ends), grid_smoothing(len(ends))), _cells(y_pred, ends))


def squared_error(y_true: Any, y_pred: Any) -> Any:
    """Squared error of the expected erosion, as a share of 1.

    Args:
        y_true: Tensor of shape `(batch_size, 101)`, see `cdf_target`.
        y_pred: Predicted distribution function, same shape.

    Returns:
        Float32 tensor of shape `(batch_size,)`.
    """
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
    """Probabilities of the cells that end at these percentages, `(batch_size, len(ends))`."""
    risen = ops.take(ops.cast(cdf, "float32"), ends, axis=1)
    return risen - ops.pad(risen[:, :-1], ((0, 0), (1, 0)))


def _crossentropy(wanted: Any, given: Any) -> Any:
    return -ops.sum(wanted * ops.log(ops.maximum(given, SMALLEST_PROBABILITY)), axis=-1)


def grid_smoothing(n: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What `grid_crossentropy` makes of n readings: row i is what a joint with reading i is learnt as, `(n, n)`."""
    laid = _SMOOTHING * (np.eye(n, k=1) + np.eye(n, k=-1))
    return np.asarray(laid + np.diag(1 - laid.sum(axis=1)), dtype=np.float32)
