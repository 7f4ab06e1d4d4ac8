"""Joint images as small data URLs."""

import base64
import io
from typing import Final

from PIL import Image, UnidentifiedImageError

SIDE: Final = 176
# Validation admits no image near this; anything larger would only be decoded to be shrunk.
_MAX_PIXELS: Final = 4096 * 4096


def data_url(image: bytes | None) -> str | None:
    """A joint image as a grey JPEG of at most `SIDE` pixels a side, in a data URL.

    The image is always encoded anew: whatever its file carried besides pixels (comments, EXIF, a patient's name in
    them) stays behind.

    Args:
        image: bytes of the image file, or None.

    Returns:
        The data URL; None when there is no image or it does not decode.
    """
    if not image:
        return None
    try:
        with Image.open(io.BytesIO(image)) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                return None
            grey = opened.convert("L")
    except (UnidentifiedImageError, OSError, ValueError):
        return None
    grey.info.clear()  # Pillow would carry the comment over
    grey.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    grey.save(buffer, format="JPEG", quality=86)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
