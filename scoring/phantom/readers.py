"""Synthetic readers: the reading of a true erosion, with the known errors of human readers.

Readers are least certain about half-destroyed joints, have individual biases, overlook small erosions, and are affected
by the other joints of a radiograph (the halo effect; Rohrbach 2017 found it in the outliers of the registry).
"""

import numpy as np
import numpy.typing as npt

from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.seeds import Rng, stream

Values = npt.NDArray[np.float64]

N_READERS = 12
_READING_STEP = 5
# Standard deviation of a reader's bias between radiographs, percentage points.
_MOOD = 1.2


def read_radiograph(erosion_true: Values, rng: Rng, seed: int, sop_iuid: str, difficulty: Difficulty = PLAIN) -> Values:
    """Return the readings of the joints of one radiograph, in percent: multiples of 5, same shape.

    `rng` is used equally often at any difficulty.
    """
    bias = float(rng.normal(0, _MOOD)) + reader_bias(seed, sop_iuid, difficulty)
    # Joints are pulled towards the mean of their radiograph, least where there is least doubt.
    pull = difficulty.halo * (0.3 + 0.7 * _doubt(erosion_true) / 50)
    read = read_erosion(erosion_true + pull * (erosion_true.mean() - erosion_true), rng, bias, difficulty)
    if difficulty.overlooked:
        seen = stream(seed, "overlooked", sop_iuid).random(erosion_true.shape)
        read[(erosion_true > 0) & (seen < np.exp(-erosion_true / difficulty.overlooked))] = 0
    if difficulty.copied:
        rng = stream(seed, "copied-readings", sop_iuid)
        is_copied, source = rng.random(read.shape) < difficulty.copied, rng.permutation(len(read))
        read = np.where(is_copied, read[source], read)
    if difficulty.blunders:
        rng = stream(seed, "blunders", sop_iuid)
        is_blunder = rng.random(read.shape) < difficulty.blunders
        read = np.where(is_blunder, _READING_STEP * rng.integers(0, 21, read.shape), read)
    return read


def reader_bias(seed: int, sop_iuid: str, difficulty: Difficulty) -> float:
    """Return the bias of the radiograph's reader at 50 percent, in percentage points."""
    if not difficulty.reader_bias:
        return 0.0
    reader = stream(seed, "reader-of", sop_iuid).integers(N_READERS)
    return difficulty.reader_bias * float(stream(seed, "reader", str(reader)).standard_normal())


def read_erosion(erosion_true: Values, rng: Rng, reader_bias: float = 0.0, difficulty: Difficulty = PLAIN) -> Values:
    """Return readings of true erosions, in percent: with an error, multiples of 5 from 0 to 100, same shape.

    The error is largest at 50 percent, because intact and destroyed joints are hard to misjudge. `reader_bias` is that
    of the reader at 50 percent, in percentage points.
    """
    doubt = _doubt(erosion_true)
    spread = difficulty.reader_error + difficulty.reader_error_middle * doubt
    error = rng.standard_normal(erosion_true.shape) * spread + reader_bias * doubt / 50
    grid = np.rint((erosion_true + error) / _READING_STEP) * _READING_STEP
    return np.asarray(np.clip(grid, 0, 100) + 0.0, dtype=np.float64)


def _doubt(erosion_true: Values) -> Values:
    """Return 0 for intact and destroyed joints, 50 for half-destroyed ones."""
    return np.asarray(np.sqrt(erosion_true * (100 - erosion_true)), dtype=np.float64)
