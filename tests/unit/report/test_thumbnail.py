import base64
import io

import numpy as np
import pytest
from PIL import Image

from scoring.report import thumbnail


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(150, 150, (150, 150)), (600, 300, (176, 88)), (90, 900, (18, 176))]
)
def test_data_url_shrinks_to_the_side_and_never_enlarges(width, height, expected):
    url = thumbnail.data_url(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1)))
    head, _, body = url.partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body, validate=True))).size == expected


def test_data_url_is_none_without_an_image():
    assert thumbnail.data_url(None) is None
