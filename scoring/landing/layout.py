"""Paths of the landing zone: its root, its batch folders, and the names of joint images."""

import re
from datetime import date
from typing import NamedTuple
from urllib.parse import urlsplit

from upath import UPath

from scoring.errors import InvalidRequest
from scoring.storage import open_url

# Parts of a name that could leave its folder, plain or escaped, and bytes that end or hide a name.
_UNSAFE_IN_NAME = re.compile(r"\.\.|[/\\%\x00-\x1f\x7f]")
_LONGEST_NAME = 255


class ImageName(NamedTuple):
    """Radiograph and joint in the name of an image file."""

    sop_iuid: str
    joint: str


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
        names = [str(path).rstrip("/").rsplit("/", 1)[-1] for path in root.fs.ls(root.path, detail=False)]
    except FileNotFoundError:
        return []
    return sorted(
        date.fromisoformat(name)
        for name in names
        if _is_iso_date(name) and root.fs.exists((root / name / success_marker).path)
    )


def parse_image_name(file_name: str, pattern: re.Pattern[str]) -> ImageName | None:
    """Return radiograph and joint of an image file; None if the name does not match or could leave its folder.

    Args:
        file_name: Last part of the file's path.
        pattern: `Settings.image_pattern`, compiled. It must match the whole name.
    """
    if len(file_name) > _LONGEST_NAME or _UNSAFE_IN_NAME.search(file_name):
        return None
    found = pattern.fullmatch(file_name)
    return ImageName(found["sop_iuid"], found["joint"]) if found else None


def _is_iso_date(name: str) -> bool:
    try:
        # Python also parses 20261121, which is not the name of a batch folder.
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False
