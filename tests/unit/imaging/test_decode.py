import contextlib
import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scoring.imaging.decode import MAX_SIDE, UndecodableImage, decode_grey, read_header

GRADIENT = np.add.outer(np.arange(60), 2 * np.arange(70)).astype(np.uint8)


def encode(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


JPEG = encode(Image.fromarray(GRADIENT), quality=90)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("L", {"progressive": True}),
        ("RGB", {}),
        ("RGB", {"subsampling": 0, "optimize": True}),
        ("RGB", {"keep_rgb": True}),
    ],
)
def test_decode_grey_gives_the_same_levels_for_grey_and_colour(mode: str, options: dict[str, object]) -> None:
    grey = decode_grey(encode(Image.fromarray(GRADIENT).convert(mode), quality=95, **options))
    assert grey.shape == GRADIENT.shape
    assert grey.dtype == np.uint8
    assert np.abs(grey.astype(int) - GRADIENT).mean() < 2


def test_decode_grey_reduces_colour_to_its_luma() -> None:
    red = Image.new("RGB", (32, 32), (255, 0, 0))
    assert abs(int(decode_grey(encode(red, quality=95))[16, 16]) - round(0.299 * 255)) <= 2


def test_decode_grey_gives_golden_values() -> None:
    """Detects a new version of libjpeg that decodes differently and would therefore change every score."""
    grey = decode_grey(JPEG)
    assert grey[::20, ::23].astype(int) == pytest.approx(
        np.array([[0, 46, 92, 138], [21, 65, 112, 158], [40, 86, 132, 178]]), abs=2
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
        (b"GIF89a" + bytes(50), "GIF"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
        (b"<!DOCTYPE html><title>Login</title>", "HTML"),
        (b"patient_id;date\r\n1;2\r\n", "text"),
        (bytes(50), "unknown"),
        (b"\xff\xd8\xff", "header is damaged"),
    ],
)
def test_decode_grey_rejects_other_formats_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(UndecodableImage, match=reason):
        decode_grey(data)


def test_decode_grey_rejects_cmyk() -> None:
    with pytest.raises(UndecodableImage, match="CMYK is a colour space for printing"):
        decode_grey(encode(Image.fromarray(GRADIENT).convert("CMYK")))


@pytest.mark.parametrize("bits", [12, 16])
def test_decode_grey_rejects_deep_images_with_their_depth(bits: int) -> None:
    with pytest.raises(UndecodableImage, match=f"{bits} bits per pixel"):
        decode_grey(with_frame(offset=4, value=bytes([bits])))


def test_decode_grey_rejects_lossless_jpeg() -> None:
    with pytest.raises(UndecodableImage, match="lossless JPEG"):
        decode_grey(with_frame(offset=1, value=b"\xc3"))


def test_decode_grey_rejects_a_decompression_bomb_by_its_header() -> None:
    """65500 x 65500 grey pixels would be 4.3 GB."""
    bomb = with_frame(offset=5, value=(65500).to_bytes(2, "big") * 2)
    assert read_header(bomb).width == 65500
    with pytest.raises(UndecodableImage, match="65500 x 65500 pixels, more than 4096 per side"):
        decode_grey(bomb)


def test_decode_grey_rejects_a_jpeg_of_many_scans() -> None:
    with pytest.raises(UndecodableImage, match=r"\d+ scans, more than 100"):
        decode_grey(JPEG[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 200 + JPEG[-2:])


def test_decode_grey_accepts_sides_of_up_to_4096_pixels() -> None:
    assert decode_grey(encode(Image.new("L", (MAX_SIDE, 8)))).shape == (8, MAX_SIDE)
    with pytest.raises(UndecodableImage, match="8 x 4097 pixels, more than 4096 per side"):
        decode_grey(encode(Image.new("L", (8, MAX_SIDE + 1))))


@pytest.mark.parametrize("progressive", [False, True])
def test_decode_grey_rejects_every_truncation(progressive: bool) -> None:
    whole = encode(Image.fromarray(GRADIENT[:24, :24]), quality=80, progressive=progressive)
    for length in range(len(whole)):
        with pytest.raises(UndecodableImage):
            decode_grey(whole[:length])


@given(st.integers(0, len(JPEG) * 8 - 1))
@settings(max_examples=300, deadline=None)
def test_decode_grey_of_a_flipped_bit_gives_a_whole_image_or_a_reason(bit: int) -> None:
    damaged = bytearray(JPEG)
    damaged[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(UndecodableImage):
        grey = decode_grey(bytes(damaged))
        assert grey.shape == simplejpeg.decode_jpeg_header(bytes(damaged))[:2]


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_decode_grey_rejects_arbitrary_bytes_after_the_magic_number(tail: bytes) -> None:
    with pytest.raises(UndecodableImage):
        decode_grey(b"\xff\xd8\xff" + tail)


def with_frame(*, offset: int, value: bytes) -> bytes:
    """The sample JPEG with bytes of its start-of-frame segment replaced."""
    at = JPEG.index(b"\xff\xc0") + offset
    return JPEG[:at] + value + JPEG[at + len(value) :]
