"""Converts the grey levels of a joint to the network's input, in the same way for training and scoring.

`PREPROCESSING_VERSION` is part of the key of a prediction. Change it with every change that alters a pixel.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PREPROCESSING_VERSION = "grey128-v1"
SIDE = 128


def to_network_input(grey: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """Pad a joint image to a square and resize it.

    The shorter side is padded at both ends by repeating the outermost pixels: the joint keeps its proportions, and no
    artificial edge appears. The resize filter is a triangle that widens when shrinking (antialiasing).

    Args:
        grey: uint8 of shape (height, width), at least one pixel.
        side: Side of the result in pixels.

    Returns:
        uint8 of shape (side, side).
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise ValueError(f"The image must be uint8 of shape (height, width), not {grey.dtype} of shape {grey.shape}.")
    square = _pad_to_square(grey)
    if square.shape == (side, side):
        return np.ascontiguousarray(square)
    resized = Image.fromarray(square).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


def as_batch(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Stack n grey images, uint8 of shape (side, side), as float32 of shape (n, side, side, 1), 0 black to 1 white."""
    batch: NDArray[np.float32] = np.stack(images).astype(np.float32)[..., np.newaxis]
    batch /= 255
    return batch


def _pad_to_square(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = grey.shape
    side = max(height, width)
    above, left = (side - height) // 2, (side - width) // 2
    return np.pad(grey, ((above, side - height - above), (left, side - width - left)), mode="edge")
