"""Measurements of an image file. Validation decides, from these, whether the image is accepted."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.imaging.decode import UndecodableImage, decode_grey, read_header

DARK_LEVEL = 2
BRIGHT_LEVEL = 253


@dataclass(frozen=True)
class ImageFacts:
    """Measurements of an image file.

    Attributes:
        sha256: Hash of the content.
        size_bytes: Size of the file.
        decodes: True if the image can be decoded and therefore scored.
        decode_error: The reason otherwise.
        color_space: As in the header, like width and height; known even if the image does not decode.
        width: Pixels.
        height: Pixels.
        brightness: Mean grey level, 0-255.
        contrast: Standard deviation of the grey levels.
        dark_share: Share of pixels with a grey level of at most 2, 0-1.
        bright_share: Share of pixels with a grey level of at least 253, 0-1.
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
    sha256, size_bytes = hashlib.sha256(data).hexdigest(), len(data)
    try:
        header = read_header(data)
    except UndecodableImage as error:
        return ImageFacts(sha256, size_bytes, decodes=False, decode_error=str(error))
    known = (header.color_space, header.width, header.height)
    try:
        grey = decode_grey(data)
    except UndecodableImage as error:
        return ImageFacts(sha256, size_bytes, False, str(error), *known)
    return ImageFacts(sha256, size_bytes, True, None, *known, *_measure(grey))


def _measure(grey: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Return brightness, contrast, dark share and bright share, from the histogram: exact and without a float copy."""
    counts = np.bincount(grey.ravel(), minlength=256)
    levels = np.arange(256)
    n = grey.size
    mean = float(counts @ levels) / n
    variance = float(counts @ (levels - mean) ** 2) / n
    return mean, variance**0.5, float(counts[: DARK_LEVEL + 1].sum()) / n, float(counts[BRIGHT_LEVEL:].sum()) / n
