"""Choice of the joints of an epoch, and correction of the prior that oversampling and enrichment distort."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def sample_epoch(grades: NDArray[np.int64], balance: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose and shuffle the joints of one epoch, as many as there are, with rare grades oversampled.

    A grade with n joints gets a share proportional to `n ** (1 - balance)`: 0 keeps the prevalence, 1 makes all grades
    equally frequent. Within a grade, the joints are shown equally often, give or take one. Returns indices into
    `grades`, int64 `(len(grades),)`.
    """
    present, counts = np.unique(grades, return_counts=True)
    share = counts ** (1.0 - balance)
    n_shown = np.floor(share / share.sum() * len(grades)).astype(np.int64)
    n_shown[np.argmax(counts)] += len(grades) - n_shown.sum()
    chosen: list[NDArray[np.int64]] = []
    for grade, n in zip(present, n_shown, strict=True):
        members = np.flatnonzero(grades == grade)
        copies, rest = divmod(int(n), len(members))
        chosen += [np.tile(members, copies), rng.choice(members, rest, replace=False)]
    return rng.permutation(np.concatenate(chosen))


def times_shown(grades: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Return how often `sample_epoch` shows each joint per epoch, on average, `(n,)`."""
    weight = np.bincount(grades)[grades] ** -balance
    return np.asarray(weight / weight.mean())


def prior_shift(shown: Floats, weight: Floats, prior_readings: Floats) -> NDArray[np.float32]:
    """Return the correction of the logits of the 21 grid readings from the training prior to the natural one.

    By Bayes's rule, a network that was shown a reading with frequency s, which occurs with frequency o, gives it s / o
    times the correct odds (Saerens, Latinne, Decaestecker, Neural Comput 2002;14:21-41).

    The arguments are the readings of the training set in percent, `(n,)`, how often each was shown, `(n,)`, and
    readings at natural prevalence, `(m,)`. The result, float32 `(21,)`, is to be added to the logits.
    """
    natural, trained = _frequency(prior_readings, np.ones(len(prior_readings))), _frequency(shown, weight)
    return np.log(natural / trained).astype(np.float32)


def _frequency(readings: Floats, weight: Floats) -> Floats:
    from scoring.networks.heads import GRID_STEP, grid_cells
    from scoring.networks.losses import grid_smoothing

    n_cells = len(grid_cells())
    # A reading between two grid points is trained as the upper one, where its target distribution has reached 1.
    cell = np.ceil(np.asarray(readings, np.float64) / GRID_STEP).astype(np.int64)
    # One more of each reading: a reading that never occurs is not impossible.
    counts = np.bincount(cell, weight, minlength=n_cells) + 1
    # The loss assigns part of each reading to its neighbours, so the network has seen the smoothed frequencies.
    return np.asarray((counts / counts.sum()) @ grid_smoothing(n_cells))
