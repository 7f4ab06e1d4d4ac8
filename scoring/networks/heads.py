"""The last layer of a network. Whatever a network has learnt to tell apart, what it gives is one distribution function.

A classifier's six probabilities, a point and 101 sigmoids all leave a network as F[k], the probability that at most k
per cent of the joint's surface is eroded, for k = 0, ..., 100. So there is one contract for losses, read-out, engines
and comparisons, whatever the head.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.networks.readout import N_POINTS

GRID_STEP = 5
"""Readers read in steps of 5 per cent."""

SMALLEST_PROBABILITY = 1e-6
"""Below it a logarithm takes a probability for this."""

EMBEDDING = "embedding"
"""Name of the layer that holds a network's last features."""


def grade_cells() -> NDArray[np.float32]:
    """Distribution functions of the six Ratingen grades, float32 `(6, 101)`: even within the range of a grade."""
    points = np.arange(N_POINTS, dtype=np.float64)
    lower = np.array([-1.0, *ratingen.UPPER_BORDERS])
    upper = np.array([*ratingen.UPPER_BORDERS, 100.0])
    risen = (points - lower[:, np.newaxis]) / (upper - lower)[:, np.newaxis]
    return np.asarray(np.clip(risen, 0, 1), dtype=np.float32)


def grid_cells() -> NDArray[np.float32]:
    """Distribution functions of the 21 readings 0, 5, ..., 100 per cent, float32 `(21, 101)`: a step at each."""
    readings = np.arange(0, N_POINTS, GRID_STEP)
    return (np.arange(N_POINTS) >= readings[:, np.newaxis]).astype(np.float32)


CELLS: dict[str, Callable[[], NDArray[np.float32]]] = {"grades": grade_cells, "grid": grid_cells}


@keras.saving.register_keras_serializable("scoring")
class Mixture(layers.Layer):  # type: ignore[misc]
    """Probabilities of cells to the distribution function that they make together: a product with a fixed matrix.

    Args:
        cells: A key of `CELLS`.

    Input shape:
        2D tensor `(batch_size, n_cells)`, rows sum to 1.

    Output shape:
        2D tensor `(batch_size, 101)`, float32, never falling, 1 at the end.
    """

    def __init__(self, cells: str, **arguments: Any) -> None:
        super().__init__(**{"dtype": "float32", **arguments})
        self.cells = cells
        self.matrix = CELLS[cells]()

    def call(self, probabilities: Any) -> Any:
        """The distribution functions."""
        # Rounding may carry a sum of probabilities a little above 1.
        return ops.minimum(ops.matmul(probabilities, self.matrix), 1.0)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "cells": self.cells}


@keras.saving.register_keras_serializable("scoring")
class Continuation(layers.Layer):  # type: ignore[misc]
    """Probabilities of going on to the next cell, each given that the one before was reached, to those of the cells.

    An ordinal head (CORN): a product of probabilities never rises, so nothing has to be made monotone afterwards.

    Input shape:
        2D tensor `(batch_size, n_cells - 1)` within 0 to 1.

    Output shape:
        2D tensor `(batch_size, n_cells)`, float32, rows sum to 1.

    Example:
    >>> Continuation()(np.array([[0.5, 0.5]], np.float32))
    array([[0.5 , 0.25, 0.25]], dtype=float32)

    Reference:

    - Shi, Cao, Raschka (2023). Deep neural networks for rank-consistent ordinal regression based on conditional
      probabilities. Pattern Analysis and Applications 26:941-955.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"dtype": "float32", **arguments})

    def call(self, goes_on: Any) -> Any:
        """The probabilities of the cells."""
        reached = ops.exp(ops.cumsum(ops.log(ops.maximum(goes_on, SMALLEST_PROBABILITY)), axis=1))
        return ops.pad(reached, ((0, 0), (1, 0)), constant_values=1.0) - ops.pad(reached, ((0, 0), (0, 1)))


@keras.saving.register_keras_serializable("scoring")
class Point(layers.Layer):  # type: ignore[misc]
    """One expected erosion, as a share of 1, to the steepest distribution function whose mean it is exactly.

    Input shape:
        2D tensor `(batch_size, 1)` within 0 to 1.

    Output shape:
        2D tensor `(batch_size, 101)`, float32; the sum over k < 100 of (1 - F[k]) is the erosion in per cent.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"dtype": "float32", **arguments})

    def call(self, share: Any) -> Any:
        """The distribution functions."""
        return ops.clip(ops.arange(N_POINTS, dtype="float32") - 100.0 * share + 1.0, 0.0, 1.0)


def _sigmoids(x: Any) -> Any:
    return layers.Dense(N_POINTS, activation="sigmoid", dtype="float32", name="cdf")(x)


def _mixture(cells: str) -> Callable[[Any], Any]:
    def head(x: Any) -> Any:
        n_cells = len(CELLS[cells]())
        probabilities = layers.Dense(n_cells, activation="softmax", dtype="float32", name=cells)(x)
        return Mixture(cells, name="cdf")(probabilities)

    return head


def _ordinal(x: Any) -> Any:
    n_steps = len(CELLS["grid"]()) - 1
    goes_on = layers.Dense(n_steps, activation="sigmoid", dtype="float32", name="continuation")(x)
    return Mixture("grid", name="cdf")(Continuation(name="cells")(goes_on))


def _point(x: Any) -> Any:
    return Point(name="cdf")(layers.Dense(1, activation="sigmoid", dtype="float32", name="share")(x))


HEADS: dict[str, Callable[[Any], Any]] = {
    # The thesis's regression: nothing makes 101 free sigmoids rise with k; the read-out does.
    "sigmoids": _sigmoids,
    # The thesis's classification.
    "grades": _mixture("grades"),
    # A proper distribution over what readers can write down.
    "grid": _mixture("grid"),
    # The same by continuation: from each reading, does it go on to the next?
    "ordinal": _ordinal,
    # The plain regression that the thesis compares with.
    "point": _point,
}


def add_head(head: str, x: Any) -> Any:
    """The distribution function from a network's last features.

    Args:
        head: A key of `HEADS`.
        x: Tensor `(batch_size, n_features)`.

    Returns:
        Tensor `(batch_size, 101)`, float32 under any precision policy, because neighbouring probabilities differ by
        less than bfloat16 resolves.

    Raises:
        ValueError: No such head.
    """
    if head not in HEADS:
        raise ValueError(f"unknown head {head!r}; this code has {', '.join(sorted(HEADS))}")
    # A name for what comes in, so that neighbours can be looked for among it.
    return HEADS[head](layers.Identity(name=EMBEDDING)(x))
