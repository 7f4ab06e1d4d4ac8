"""Measurements of an image file, from which validation decides whether the image is accepted."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.imaging.decode import UndecodableImage, decode_grey, read_header


@dataclass(frozen=True)
class ImageFacts:
    """Measurements of an image file.

    Colour space, width and height (pixels) are those of the header; they are known even if the image does not decode,
    and `decode_error` is the reason why it does not. Brightness and contrast are the mean and standard deviation of the
    grey levels (0-255); `dark_share` and `bright_share` are the shares (0-1) of levels up to 2 and from 253.
    """

    sha256: str
    size_bytes: int
    decodes: bool
    decode_error: str | None = None
    color_space: str | None = None
    width: int | None = None
    height: int | None = None
    brightness: float | None = None
    contrast: float | None = None
    dark_share: float | None = None
    bright_share: float | None = None


def inspect_image(data: bytes) -> ImageFacts:
    """Hash, decode and measure a file; no content raises an error.

    Scoring uses the same decoder with the same limits, so an image that decodes here can be scored.
    """
    facts: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    try:
        facts |= read_header(data)._asdict()
        facts |= _measure(decode_grey(data))
    except UndecodableImage as error:
        return ImageFacts(**facts, decodes=False, decode_error=str(error))
    return ImageFacts(**facts, decodes=True)


def _measure(grey: NDArray[np.uint8]) -> dict[str, float]:
    """Measure an image by its histogram, which is exact and needs no copy as floats."""
    n_pixels = np.bincount(grey.ravel(), minlength=256)
    levels = np.arange(256)
    mean = float(n_pixels @ levels) / grey.size
    return {
        "brightness": mean,
        "contrast": (float(n_pixels @ (levels - mean) ** 2) / grey.size) ** 0.5,
        "dark_share": float(n_pixels[:3].sum()) / grey.size,
        "bright_share": float(n_pixels[253:].sum()) / grey.size,
    }
