"""Output heads. Every head returns one distribution function per joint.

Six class probabilities, a single value and 101 sigmoids all leave the network as F[k], the probability that at most k
percent of the joint surface is eroded, for k = 0, ..., 100. So losses, read-out, engines and comparisons work in the
same way for every head.
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
"""Step of the readers' scale in percent."""

SMALLEST_PROBABILITY = 1e-6
"""Lower limit of a probability in a logarithm."""

EMBEDDING = "embedding"
"""Name of the layer with the last features of a network."""


def grade_cells() -> NDArray[np.float32]:
    """Return the distribution functions of the six Ratingen grades, float32 `(6, 101)`: uniform within each grade."""
    points = np.arange(N_POINTS, dtype=np.float64)
    lower = np.array([-1.0, *ratingen.UPPER_BORDERS])
    upper = np.array([*ratingen.UPPER_BORDERS, 100.0])
    share = (points - lower[:, np.newaxis]) / (upper - lower)[:, np.newaxis]
    return np.asarray(np.clip(share, 0, 1), dtype=np.float32)


def grid_cells() -> NDArray[np.float32]:
    """Return the distribution functions of the readings 0, 5, ..., 100 percent, float32 `(21, 101)`: one step each."""
    readings = np.arange(0, N_POINTS, GRID_STEP)
    return (np.arange(N_POINTS) >= readings[:, np.newaxis]).astype(np.float32)


CELLS: dict[str, Callable[[], NDArray[np.float32]]] = {"grades": grade_cells, "grid": grid_cells}


@keras.saving.register_keras_serializable("scoring")
class Mixture(layers.Layer):  # type: ignore[misc]
    """Turns probabilities of cells (grades or readings) into their common distribution function, by a fixed matrix.

    Args:
        cells: A key of `CELLS`.

    Input shape:
        2D tensor `(batch_size, n_cells)`; rows sum to 1.

    Output shape:
        2D tensor `(batch_size, 101)`, float32, monotone, 1 at the end.
    """

    def __init__(self, cells: str, **arguments: Any) -> None:
        super().__init__(**{"dtype": "float32", **arguments})
        self.cells = cells
        self.matrix = CELLS[cells]()

    def call(self, probabilities: Any) -> Any:
        """Return the distribution functions."""
        # A sum of rounded probabilities may exceed 1.
        return ops.minimum(ops.matmul(probabilities, self.matrix), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments for `from_config`."""
        return {**super().get_config(), "cells": self.cells}


@keras.saving.register_keras_serializable("scoring")
class Continuation(layers.Layer):  # type: ignore[misc]
    """Turns conditional probabilities of exceeding each cell into probabilities of the cells.

    An ordinal head (CORN): each input is conditional on having exceeded the cells before. A product of probabilities
    never rises, so the output needs no correction to be monotone.

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

    def call(self, conditional: Any) -> Any:
        """Return the probabilities of the cells."""
        exceeded = ops.exp(ops.cumsum(ops.log(ops.maximum(conditional, SMALLEST_PROBABILITY)), axis=1))
        return ops.pad(exceeded, ((0, 0), (1, 0)), constant_values=1.0) - ops.pad(exceeded, ((0, 0), (0, 1)))


@keras.saving.register_keras_serializable("scoring")
class Point(layers.Layer):  # type: ignore[misc]
    """Turns one expected erosion (as a fraction) into the steepest distribution function with exactly that mean.

    Input shape:
        2D tensor `(batch_size, 1)` within 0 to 1.

    Output shape:
        2D tensor `(batch_size, 101)`, float32; the sum over k < 100 of (1 - F[k]) is the erosion in percent.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"dtype": "float32", **arguments})

    def call(self, share: Any) -> Any:
        """Return the distribution functions."""
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
    conditional = layers.Dense(n_steps, activation="sigmoid", dtype="float32", name="continuation")(x)
    return Mixture("grid", name="cdf")(Continuation(name="cells")(conditional))


def _point(x: Any) -> Any:
    return Point(name="cdf")(layers.Dense(1, activation="sigmoid", dtype="float32", name="share")(x))


HEADS: dict[str, Callable[[Any], Any]] = {
    # Regression of the thesis: 101 free sigmoids, which the read-out makes monotone.
    "sigmoids": _sigmoids,
    # Classification of the thesis.
    "grades": _mixture("grades"),
    # A distribution over the possible readings.
    "grid": _mixture("grid"),
    # The same as an ordinal model: the probability of exceeding each reading.
    "ordinal": _ordinal,
    # Plain regression, the comparison in the thesis.
    "point": _point,
}


def add_head(head: str, x: Any) -> Any:
    """Add a head to the last features of a network.

    Args:
        head: A key of `HEADS`.
        x: Tensor `(batch_size, n_features)`.

    Returns:
        Tensor `(batch_size, 101)`, float32 under any precision policy, because neighbouring probabilities differ by
        less than the resolution of bfloat16.

    Raises:
        ValueError: The head is unknown.
    """
    if head not in HEADS:
        raise ValueError(f"Unknown head {head!r}. Use one of {', '.join(sorted(HEADS))}.")
    # The named layer gives access to the embedding, for a search of neighbours.
    return HEADS[head](layers.Identity(name=EMBEDDING)(x))
