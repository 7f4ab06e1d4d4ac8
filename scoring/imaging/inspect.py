"""Facts about one image file, for validation to judge. Nothing here decides whether an image is good enough."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.imaging.decode import UndecodableImage, decode_grey, read_header

DARK_LEVEL = 2
BRIGHT_LEVEL = 253


@dataclass(frozen=True)
class ImageFacts:
    """What the bytes of one file say.

    Size and colour space come from the header and may be known of an image that does not decode. Brightness is the mean
    grey level (0-255), contrast its standard deviation; the shares (0-1) count pixels of at most 2 and at least 253.
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
    """Hash, decode and measure one file; never raises for what is in it.

    What decodes here decodes when it is scored: both ask `decode_grey`, with the same limits.

    Args:
        data: The whole file.

    Returns:
        The facts. `decodes` is False with the reason in `decode_error` if there are no pixels to measure.
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
    """Brightness, contrast, dark share and bright share, from the histogram: exact, and without a float copy."""
    counts = np.bincount(grey.ravel(), minlength=256)
    levels = np.arange(256)
    n = grey.size
    mean = float(counts @ levels) / n
    variance = float(counts @ (levels - mean) ** 2) / n
    return mean, variance**0.5, float(counts[: DARK_LEVEL + 1].sum()) / n, float(counts[BRIGHT_LEVEL:].sum()) / n
