"""The only JPEG decoder of the job: strict, with 8-bit grey output.

Most libraries return a half-grey picture for a truncated file. Here every warning of libjpeg is an error, because a
partly invented picture must not be scored.
"""

from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

# The side of a joint crop has about 200 pixels, that of a whole hand about 4000. Larger images would only cost memory.
MAX_SIDE = 4096

# Encoders write about ten scans. A small file with thousands would cost a pass over all pixels for each.
MAX_SCANS = 100

_JPEG_MAGIC = b"\xff\xd8\xff"
_OTHER_FORMATS = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"BM", "a BMP image"),
    (0, b"II*\x00", "a TIFF image"),
    (0, b"MM\x00*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (128, b"DICM", "a DICOM file"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"<", "HTML or XML text"),
)

# Start-of-frame markers: FFC0..FFCF without DHT (C4), JPG (C8) and DAC (CC).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})


class UndecodableImage(ValueError):
    """The file is not an image that can be scored. The message gives the reason and the remedy, in lower case."""


class JpegHeader(NamedTuple):
    """Header of a JPEG; `color_space` is "Gray", "YCbCr", "RGB", "CMYK" or "YCCK", width and height are in pixels."""

    color_space: str
    width: int
    height: int


def read_header(data: bytes) -> JpegHeader:
    """Read colour space and size without decoding.

    Raises:
        UndecodableImage: The file is not a JPEG, or its header is damaged or describes an unsupported format.
    """
    if not data.startswith(_JPEG_MAGIC):
        raise UndecodableImage(_not_a_jpeg(data))
    _check_sample_format(data)
    try:
        height, width, color_space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise UndecodableImage(
            f"the JPEG header is damaged or incomplete ({error}); have the extractor write the file again"
        ) from error
    return JpegHeader(str(color_space), int(width), int(height))


def decode_grey(data: bytes) -> NDArray[np.uint8]:
    """Decode a grey or colour JPEG to grey levels.

    Colour is reduced to its luma (ITU-R BT.601), as libjpeg defines it. The accurate integer DCT gives the same pixels
    on every machine. An image with a side over `MAX_SIDE` is rejected by its header, before memory is allocated.

    Returns:
        uint8 of shape (height, width), 0 black to 255 white.

    Raises:
        UndecodableImage: The file is not a JPEG, or is truncated, damaged, CMYK or too large.
    """
    header = read_header(data)
    if max(header.width, header.height) > MAX_SIDE:
        size = f"{header.width} x {header.height} pixels"
        raise UndecodableImage(f"{size}, more than {MAX_SIDE} per side; deliver the crop of a single joint")
    if header.color_space in {"CMYK", "YCCK"}:
        raise UndecodableImage(f"{header.color_space} is a colour space for printing; export the image in grey or RGB")
    scans = data.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise UndecodableImage(f"{scans} scans, more than {MAX_SCANS}, as in an attack; check the origin of the file")
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace="GRAY", fastdct=False, fastupsample=False, strict=True)
    except ValueError as error:
        raise UndecodableImage(
            f"the JPEG is truncated or damaged ({error}); have the extractor write the file again"
        ) from error
    grey: NDArray[np.uint8] = pixels[:, :, 0]
    return grey


def _not_a_jpeg(data: bytes) -> str:
    if not data:
        return "the file is empty (0 bytes); have the extractor write it again"
    for offset, magic, name in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return f"{name}, not a JPEG; export the image as 8-bit JPEG"
    beginning = data[:256].translate(None, b"\t\r\n")
    is_text = beginning.isascii() and beginning.decode("ascii").isprintable()
    return f"{'text' if is_text else 'unknown format'}, not a JPEG; export the image as 8-bit JPEG"


def _check_sample_format(data: bytes) -> None:
    """Reject two formats of radiology systems by name; libjpeg would only report them as unsupported."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            bits = data[at + 4]
            if bits != 8:
                raise UndecodableImage(f"{bits} bits per pixel; export the image as 8-bit JPEG")
            if marker in _LOSSLESS_FRAMES:
                raise UndecodableImage("lossless JPEG, as in DICOM files; export the image as baseline JPEG")
            return
        # Skip a single fill byte, or a segment before the frame by its length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
