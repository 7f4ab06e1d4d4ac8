"""Rare grades are shown more often than they occur. What a network then expects is brought back to what occurs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.networks.heads import GRID_STEP, grid_cells
from scoring.networks.losses import grid_smoothing

Floats = NDArray[np.floating[Any]]


def prior_shift(shown: Floats, weight: Floats, prior_readings: Floats) -> NDArray[np.float32]:
    """What to add to the logits of the 21 readings of the grid, so that they expect what occurs.

    By Bayes's rule: a network that was shown a reading with frequency s, where it occurs with frequency o, gives it
    s / o times the odds that it should (Saerens, Latinne, Decaestecker, Neural Comput 2002;14:21-41).

    Args:
        shown: Readings of the joints that were learnt from, per cent, `(n,)`.
        weight: How often each of them was shown, `(n,)`.
        prior_readings: Readings as they occur, per cent, `(m,)`.

    Returns:
        float32 `(21,)`.
    """
    return np.log(_frequency(prior_readings, np.ones(len(prior_readings))) / _frequency(shown, weight)).astype(
        np.float32
    )


def times_shown(grades: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """How often `dataset.sample_epoch` shows each joint an epoch, on average, `(n,)`."""
    counts = np.bincount(grades)
    share = np.where(counts > 0, counts, 1) ** -balance
    weight = share[grades]
    return np.asarray(weight / weight.mean())


def _frequency(readings: Floats, weight: Floats) -> Floats:
    n_cells = len(grid_cells())
    # A reading between two of the grid is learnt as the one above, where the target's step has been passed.
    cell = np.ceil(np.asarray(readings, np.float64) / GRID_STEP).astype(np.int64)
    # As if each reading had been met once more: one that never occurs is not impossible.
    counts = np.bincount(cell, weight, minlength=n_cells) + 1
    # The loss lays a part of each reading on its neighbours, so that is what the network learnt.
    return np.asarray((counts / counts.sum()) @ grid_smoothing(n_cells))
