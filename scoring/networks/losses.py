"""The loss of the thesis's regression network: the continuous ranked probability score of its distribution."""

from typing import Any

from keras import ops

from scoring.networks.architecture import N_POINTS


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
