"""Output heads. Every head returns one distribution function per joint.

Six class probabilities, a single value and 101 sigmoids all leave the network as F[k], the probability that at most k
percent of the joint surface is eroded, for k = 0, ..., 100. So losses, read-out, engines and comparisons work in the
same way for every head.
"""

from collections.abc import Callable
from typing import Any

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


class Mixture(layers.Layer):  # type: ignore[misc]
    """Turns probabilities of cells (a key of `CELLS`) into their common distribution function, by a fixed matrix.

    The input is `(batch_size, n_cells)` with rows that sum to 1; the output is `(batch_size, 101)`, monotone and 1 at
    the end.
    """

    def __init__(self, cells: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.matrix = CELLS[cells]()

    def call(self, probabilities: Any) -> Any:
        """Return the distribution functions."""
        # A sum of rounded probabilities may exceed 1.
        return ops.minimum(ops.matmul(probabilities, self.matrix), 1.0)


class Continuation(layers.Layer):  # type: ignore[misc]
    """Turns conditional probabilities of exceeding each cell into probabilities of the cells.

    An ordinal head (CORN; Shi, Cao, Raschka, Pattern Anal Appl 2023;26:941-955): each input is conditional on having
    exceeded the cells before. A product of probabilities never rises, so the output needs no correction to be monotone.
    The input is `(batch_size, n_cells - 1)` within 0 to 1; the output is `(batch_size, n_cells)` with rows that sum to
    1. For example, 0.5 and 0.5 become 0.5, 0.25 and 0.25.
    """

    def call(self, conditional: Any) -> Any:
        """Return the probabilities of the cells."""
        exceeded = ops.exp(ops.cumsum(ops.log(ops.maximum(conditional, SMALLEST_PROBABILITY)), axis=1))
        return ops.pad(exceeded, ((0, 0), (1, 0)), constant_values=1.0) - ops.pad(exceeded, ((0, 0), (0, 1)))


class Point(layers.Layer):  # type: ignore[misc]
    """Turns one expected erosion, a fraction `(batch_size, 1)`, into the steepest distribution function with that mean.

    In the output, `(batch_size, 101)`, the sum over k < 100 of 1 - F[k] is the erosion in percent.
    """

    def call(self, share: Any) -> Any:
        """Return the distribution functions."""
        return ops.clip(ops.arange(N_POINTS, dtype="float32") - 100.0 * share + 1.0, 0.0, 1.0)


def _dense(x: Any, units: int, activation: str, name: str) -> Any:
    return layers.Dense(units, activation=activation, dtype="float32", name=name)(x)


def _mixture(cells: str) -> Callable[[Any], Any]:
    def head(x: Any) -> Any:
        return Mixture(cells, dtype="float32", name="cdf")(_dense(x, len(CELLS[cells]()), "softmax", cells))

    return head


def _ordinal(x: Any) -> Any:
    conditional = _dense(x, len(CELLS["grid"]()) - 1, "sigmoid", "continuation")
    return Mixture("grid", dtype="float32", name="cdf")(Continuation(dtype="float32", name="cells")(conditional))


HEADS: dict[str, Callable[[Any], Any]] = {
    # Regression of the thesis: 101 free sigmoids, which the read-out makes monotone.
    "sigmoids": lambda x: _dense(x, N_POINTS, "sigmoid", "cdf"),
    # Classification of the thesis.
    "grades": _mixture("grades"),
    # A distribution over the possible readings.
    "grid": _mixture("grid"),
    # The same as an ordinal model: the probability of exceeding each reading.
    "ordinal": _ordinal,
    # Plain regression, the comparison in the thesis.
    "point": lambda x: Point(dtype="float32", name="cdf")(_dense(x, 1, "sigmoid", "share")),
}


def add_head(head: str, x: Any) -> Any:
    """Add a head, a key of `HEADS`, to the last features of a network, `(batch_size, n_features)`.

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
