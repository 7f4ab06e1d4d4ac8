"""Reads, checks and decodes accepted joint images, for scoring, training and the report."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from scoring.errors import StorageUnavailable
from scoring.imaging.decode import UndecodableImage, decode_grey
from scoring.imaging.preprocess import to_network_input

# Decoding one image takes a fraction of a millisecond. The threads mostly wait for a network share or an object store,
# and libjpeg releases the interpreter's lock.
_READERS = 4

Row = tuple[str, str, str, str]
"""image_sha256, sop_iuid, joint, uri."""

RejectionKind = Literal["gone", "forbidden", "changed", "damaged"]

# Errors about one missing file. Any other failure to read is a failure of the storage itself.
_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@dataclass(frozen=True, slots=True)
class RejectedImage:
    """An accepted image that cannot be used any more, because its file differs from the validated one.

    `kind` is the reason as one word, to count by; `reason` is the reason and the remedy, in lower case.
    """

    image_sha256: str
    uri: str
    kind: RejectionKind
    reason: str


def read_bytes(uri: str) -> bytes:
    """Return the content of a file on any fsspec URL."""
    data: bytes = UPath(uri).read_bytes()
    return data


def load_grey(
    image_sha256: str, uri: str, read: Callable[[str], bytes] = read_bytes
) -> NDArray[np.uint8] | RejectedImage:
    """Read an accepted image, compare its hash and decode it.

    Returns:
        Grey levels, uint8 `(height, width)`, or the reason why the image cannot be used.

    Raises:
        StorageUnavailable: The storage failed, such as a share that timed out.
    """
    try:
        data = read(uri)
    except _GONE:
        return RejectedImage(image_sha256, uri, "gone", "missing since validation; restore the file and run again")
    except PermissionError:
        return RejectedImage(image_sha256, uri, "forbidden", "no permission; allow the user of the job to read it")
    except OSError as error:
        raise StorageUnavailable(
            f"{uri} could not be read ({error}). Check the storage of the images and try again."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != image_sha256:
        hashes = f"sha256 {image_sha256[:12]} then, {found[:12]} now"
        reason = f"changed since validation ({hashes}); restore it or run again"
        return RejectedImage(image_sha256, uri, "changed", reason)
    try:
        return decode_grey(data)
    except UndecodableImage as error:
        return RejectedImage(image_sha256, uri, "damaged", str(error))


def load_images(
    rows: Iterable[Row], side: int, *, ahead: int, read: Callable[[str], bytes] = read_bytes
) -> Iterator[tuple[Row, NDArray[np.uint8] | RejectedImage]]:
    """Load accepted images in several threads, as the network reads them.

    Args:
        rows: The images; may be a generator.
        side: Side of the network's input in pixels.
        ahead: Maximum number of images loaded beyond the one taken, so that memory stays constant.
        read: As for `load_grey`.

    Yields:
        Each row, in order, with its image, uint8 `(side, side)`, or the reason why it cannot be used.

    Raises:
        StorageUnavailable: As for `load_grey`.
    """

    def load(row: Row) -> NDArray[np.uint8] | RejectedImage:
        image = load_grey(row[0], row[3], read)
        return image if isinstance(image, RejectedImage) else to_network_input(image, side)

    with ThreadPoolExecutor(_READERS, thread_name_prefix="read-joint") as pool:
        loading = ((row, pool.submit(load, row)) for row in rows)
        queue = deque(islice(loading, ahead))
        try:
            while queue:
                row, image = queue.popleft()
                yield row, image.result()
                queue.extend(islice(loading, 1))
        finally:
            pool.shutdown(cancel_futures=True)
