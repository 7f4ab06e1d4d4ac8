"""Joint images as small data URLs."""

import base64
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 176


def data_url(grey: NDArray[np.uint8] | None) -> str | None:
    """Return a joint image, grey levels `(height, width)`, as a grey JPEG of at most `SIDE` pixels per side; or None.

    Only pixels are encoded, so comments or EXIF of the original file, and a name in them, never reach the report.
    """
    if grey is None:
        return None
    image = Image.fromarray(grey)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=86)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
