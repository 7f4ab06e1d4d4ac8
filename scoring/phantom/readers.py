"""Readers: what a person writes down for a true erosion, and how people are known to err.

A reader is least sure of what is half destroyed, has a bias of his own, overlooks what is small, and lets the other
joints of a radiograph pull his readings (the halo effect; Rohrbach 2017 found it in the registry's outliers).
"""

import numpy as np
import numpy.typing as npt

from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.seeds import stream

Values = npt.NDArray[np.float64]

READING_GRID = 5
N_READERS = 12
_MOOD = 1.2


def read_radiograph(
    erosion_true: Values, rng: np.random.Generator, seed: int, sop_iuid: str, difficulty: Difficulty = PLAIN
) -> Values:
    """What the radiograph's reader writes down for its joints.

    Args:
        erosion_true: True erosion of the radiograph's joints in percent.
        rng: Generator of this reading; it moves on equally far at any difficulty.
        seed: Seed of the phantom.
        sop_iuid: The radiograph.
        difficulty: How its reader errs.

    Returns:
        Readings in percent, multiples of 5, same shape.
    """
    bias = float(rng.normal(0, _MOOD)) + reader_bias(seed, sop_iuid, difficulty)
    read = read_erosion(_with_halo(erosion_true, difficulty.halo), rng, bias, difficulty)
    if difficulty.overlooked:
        seen = stream(seed, "overlooked", sop_iuid).random(erosion_true.shape)
        read[(erosion_true > 0) & (seen < np.exp(-erosion_true / difficulty.overlooked))] = 0
    return _confused(read, seed, sop_iuid, difficulty)


def _confused(read: Values, seed: int, sop_iuid: str, difficulty: Difficulty) -> Values:
    """Readings of which a few are those of another joint, or of none."""
    if difficulty.copied:
        rng = stream(seed, "copied-readings", sop_iuid)
        is_copied, source = rng.random(read.shape) < difficulty.copied, rng.permutation(len(read))
        read = np.where(is_copied, read[source], read)
    if difficulty.blunders:
        rng = stream(seed, "blunders", sop_iuid)
        is_blunder = rng.random(read.shape) < difficulty.blunders
        read = np.where(is_blunder, READING_GRID * rng.integers(0, 21, read.shape), read)
    return read


def reader_bias(seed: int, sop_iuid: str, difficulty: Difficulty) -> float:
    """Percentage points by which the radiograph's reader, one of `N_READERS`, always sees more, halfway between the ends."""
    if not difficulty.reader_bias:
        return 0.0
    reader = stream(seed, "reader-of", sop_iuid).integers(N_READERS)
    return difficulty.reader_bias * float(stream(seed, "reader", str(reader)).standard_normal())


def read_erosion(
    erosion_true: Values, rng: np.random.Generator, reader_bias: float = 0.0, difficulty: Difficulty = PLAIN
) -> Values:
    """What a reader writes down: the truth with an error, on the 5 % grid, within 0-100.

    The error is largest in the middle: an intact and a mutilated joint are hard to misjudge.

    Args:
        erosion_true: True erosion in percent, any shape.
        rng: Generator of this reading.
        reader_bias: Percentage points by which this reader sees more than there is, halfway between the ends.
        difficulty: How large the error is.

    Returns:
        Readings in percent, multiples of 5, same shape.
    """
    doubt = _doubt(erosion_true)
    spread = difficulty.reader_error + difficulty.reader_error_middle * doubt
    error = rng.standard_normal(erosion_true.shape) * spread + reader_bias * doubt / 50
    grid = np.rint((erosion_true + error) / READING_GRID) * READING_GRID
    return np.asarray(np.clip(grid, 0, 100) + 0.0, dtype=np.float64)


def _doubt(erosion_true: Values) -> Values:
    """0 for an intact and a destroyed joint, 50 halfway between."""
    doubt: Values = np.sqrt(erosion_true * (100 - erosion_true))
    return doubt


def _with_halo(erosion_true: Values, halo: float) -> Values:
    """Each joint pulled towards the mean of its radiograph, least where there is least doubt."""
    pull = halo * (0.3 + 0.7 * _doubt(erosion_true) / 50)
    pulled: Values = erosion_true + pull * (erosion_true.mean() - erosion_true)
    return pulled
