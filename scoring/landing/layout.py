"""Paths of the landing zone: its root, its batch folders, and the names of joint images."""

import re
from contextlib import suppress
from datetime import date
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from upath import UPath

from scoring.errors import InvalidRequest
from scoring.storage import open_url

# Parts of a name that could leave its folder, plain or escaped, and bytes that end or hide a name.
_UNSAFE_IN_NAME = re.compile(r"\.\.|[/\\%\x00-\x1f\x7f]")
_LONGEST_NAME = 255


def landing_root(landing_url: str) -> UPath:
    """Return the landing folder as a path, absolute if it is local.

    Raises:
        InvalidRequest: The URL contains a password, which would be written to logs and to the warehouse, or needs a
            file system that is not installed.
    """
    if urlsplit(landing_url).password:
        raise InvalidRequest(
            "SCORING_LANDING_URL contains a password. Remove it and pass it to fsspec in an environment variable, such "
            "as FSSPEC_SFTP_PASSWORD, or in a file in ~/.config/fsspec."
        )
    root = open_url(landing_url, "SCORING_LANDING_URL")
    return root.absolute() if root.protocol in {"", "file", "local"} else root


def closed_batches(landing_url: str, success_marker: str) -> list[date]:
    """Return the dates of all closed batch folders, oldest first; empty if there is no landing folder."""
    root = landing_root(landing_url)
    root.fs.invalidate_cache(root.path)
    try:
        paths = root.fs.ls(root.path, detail=False)
    except FileNotFoundError:
        return []
    closed = []
    for name in (PurePosixPath(path).name for path in paths):
        with suppress(ValueError):
            batch_date = date.fromisoformat(name)
            # Python also parses 20261121, which is not the name of a batch folder.
            if str(batch_date) == name and root.fs.exists((root / name / success_marker).path):
                closed.append(batch_date)
    return sorted(closed)


def parse_image_name(file_name: str, pattern: re.Pattern[str]) -> tuple[str, str] | None:
    """Return `sop_iuid` and joint of an image file; None if the name does not match or could leave its folder.

    The pattern, `Settings.image_pattern`, must match the whole name.
    """
    if len(file_name) > _LONGEST_NAME or _UNSAFE_IN_NAME.search(file_name):
        return None
    found = pattern.fullmatch(file_name)
    return (found["sop_iuid"], found["joint"]) if found else None
