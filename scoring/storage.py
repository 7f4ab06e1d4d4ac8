"""Files on any fsspec URL: a clear error if its storage is unknown, and writes that never show half a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from scoring.errors import InvalidRequest

if TYPE_CHECKING:
    from upath import UPath

# The extra of this package that installs the file system of a URL.
_EXTRAS = {"s3": "s3", "s3a": "s3", "sftp": "sftp", "ssh": "sftp"}


def open_url(url: str, setting: str) -> "UPath":
    """Return the path of a URL, after checking that its file system is installed.

    Raises:
        InvalidRequest: The file system is unknown or not installed. The message names the setting with the URL, and the
            package to install.
    """
    from fsspec import get_filesystem_class
    from fsspec.utils import get_protocol
    from upath import UPath

    protocol = get_protocol(url)
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        remedy = f"Run: pip install bone-erosion-scoring[{extra}]" if extra else str(error)
        raise InvalidRequest(
            f"{setting} is a {protocol}:// URL, but the package for this storage is not installed. {remedy}"
        ) from error
    except ValueError as error:
        raise InvalidRequest(
            f"{setting} is a {protocol}:// URL, but this protocol is not supported. Use a local path, s3:// or sftp://."
        ) from error
    return UPath(url)


@contextmanager
def atomic_write(path: "UPath | Path") -> Iterator[IO[bytes]]:
    """Open a new file that appears under `path` only if the block succeeds, and then replaces an existing file.

    Missing folders are created. If the block raises, an existing file is unchanged and no other file remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with partial.open("wb") as file:
            yield file
        partial.rename(str(path))
    except BaseException:
        if partial.exists():
            partial.unlink()
        raise
