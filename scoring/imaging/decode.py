"""The only JPEG decoder of this job: strict, 8-bit grey, and never surprised by a file.

Most libraries return a half-grey picture for a truncated radiograph. Here every warning of libjpeg is an error, because
a picture of which half is invented must not be scored.
"""

from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

# A joint crop has some 200 pixels a side and a whole hand some 4000: beyond this, decoding only costs memory.
MAX_SIDE = 4096

# A progressive JPEG may repeat its scans thousands of times in a small file, and each costs a pass over all pixels.
# Encoders write about ten.
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
    (0, b"<", "an HTML or XML text"),
)

# Start-of-frame markers: FFC0..FFCF without DHT (C4), JPG (C8) and DAC (CC).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS_FRAMES = frozenset({0xC3, 0xC7, 0xCB, 0xCF})


class UndecodableImage(ValueError):
    """These bytes are not an image that can be scored; the message says why and what to do."""


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG says of itself before decoding. `color_space` is "Gray", "YCbCr", "RGB", "CMYK" or "YCCK"."""

    width: int
    height: int
    color_space: str


def read_header(data: bytes) -> JpegHeader:
    """Read size and colour space without decoding.

    Raises:
        UndecodableImage: The bytes are no JPEG, or its header is damaged or of a kind that cannot be decoded.
    """
    if not data.startswith(_JPEG_MAGIC):
        raise UndecodableImage(_what_instead(data))
    _refuse_deep_or_lossless(data)
    try:
        height, width, color_space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise UndecodableImage(
            f"the JPEG header is damaged or incomplete ({error}); have the extractor write the file again"
        ) from error
    return JpegHeader(int(width), int(height), str(color_space))


def decode_grey(data: bytes, *, min_side: int = 1, max_side: int = MAX_SIDE) -> NDArray[np.uint8]:
    """Decode a grey or colour JPEG to grey levels.

    Colour is reduced to its luma (ITU-R BT.601), as libjpeg defines it. The accurate integer DCT is used, so that the
    same bytes give the same pixels on every machine.

    Args:
        data: The whole file.
        min_side: Smallest allowed side in pixels.
        max_side: Largest allowed side in pixels; a larger image is refused by its header and never allocated.

    Returns:
        uint8 of shape (height, width), 0 black to 255 white.

    Raises:
        UndecodableImage: The file is not a JPEG, is truncated or damaged, is CMYK, or has a side out of limits.
    """
    header = read_header(data)
    shorter, longer = sorted((header.width, header.height))
    if longer > max_side:
        raise UndecodableImage(
            f"{header.width} x {header.height} pixels, more than {max_side} a side; expected is the crop of one joint"
        )
    if shorter < min_side:
        raise UndecodableImage(f"{header.width} x {header.height} pixels, fewer than {min_side} a side")
    if header.color_space in {"CMYK", "YCCK"}:
        raise UndecodableImage(f"{header.color_space} is a printer's colour space; export the image as grey or RGB")
    scans = data.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise UndecodableImage(f"{scans} scans in one JPEG; more than {MAX_SCANS} are not an image but an attack")
    try:
        pixels = simplejpeg.decode_jpeg(data, colorspace="GRAY", fastdct=False, fastupsample=False, strict=True)
    except ValueError as error:
        raise UndecodableImage(
            f"the JPEG is truncated or damaged ({error}); have the extractor write the file again"
        ) from error
    grey: NDArray[np.uint8] = pixels[:, :, 0]
    return grey


def _what_instead(data: bytes) -> str:
    if not data:
        return "the file is empty (0 bytes); have the extractor write it again"
    for offset, magic, name in _OTHER_FORMATS:
        if data.startswith(magic, offset):
            return f"not a JPEG but {name}; export the image as 8-bit JPEG"
    beginning = data[:256].translate(None, b"\t\r\n")
    looks = "text" if beginning.isascii() and beginning.decode("ascii").isprintable() else "something unknown"
    return f"not a JPEG but {looks}; export the image as 8-bit JPEG"


def _refuse_deep_or_lossless(data: bytes) -> None:
    """Name the two kinds that radiology systems do write and libjpeg only calls unsupported."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_MARKERS:
            bits = data[at + 4]
            if bits != 8:
                raise UndecodableImage(f"{bits} bits a pixel; export the image as 8-bit JPEG")
            if marker in _LOSSLESS_FRAMES:
                raise UndecodableImage("lossless JPEG, as inside DICOM files; export the image as baseline JPEG")
            return
        # A fill byte is skipped alone; any other segment before the frame carries its length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
