import base64
import io

import numpy as np
import pytest
from PIL import Image

from scoring.report import thumbnail


def jpeg(width: int, height: int, **options: object) -> bytes:
    grey = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="JPEG", **options)
    return buffer.getvalue()


def decoded(url: str | None) -> tuple[bytes, Image.Image]:
    assert url is not None
    head, _, body = url.partition(",")
    assert head == "data:image/jpeg;base64"
    content = base64.b64decode(body, validate=True)
    return content, Image.open(io.BytesIO(content))


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(150, 150, (150, 150)), (600, 300, (176, 88)), (90, 900, (18, 176))]
)
def test_images_shrink_to_the_side_and_never_grow(width: int, height: int, expected: tuple[int, int]) -> None:
    assert decoded(thumbnail.data_url(jpeg(width, height)))[1].size == expected


def test_what_a_file_carries_besides_pixels_stays_behind() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Erika Mustermann"
    original = jpeg(150, 150, comment=b"Erika Mustermann", exif=exif)
    assert original.count(b"Erika Mustermann") == 2
    assert b"Mustermann" not in decoded(thumbnail.data_url(original))[0]


@pytest.mark.parametrize("image", [None, b"", b"not an image", jpeg(150, 150)[:400]])
def test_what_does_not_decode_has_no_thumbnail(image: bytes | None) -> None:
    assert thumbnail.data_url(image) is None


def test_a_huge_image_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail, "_MAX_PIXELS", 149 * 150)
    assert thumbnail.data_url(jpeg(150, 150)) is None
