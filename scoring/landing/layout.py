"""The landing contract: which folder is a night, when it is closed, and what the name of a joint image says.

    <landing>/<YYYY-MM-DD>/consultations.csv
                           disease_activity.csv
                           joints/<sop_iuid>_<joint>.jpg
                           _SUCCESS                            written last

Datasets may be `.parquet` instead of `.csv`.
"""

import re
from datetime import date
from typing import NamedTuple
from urllib.parse import urlsplit

from upath import UPath

from scoring.errors import InvalidRequest
from scoring.storage import open_url

# What no honest image name contains: ways out of a folder, plain or escaped, and bytes that end or hide a name.
_UNSAFE_IN_NAME = re.compile(r"\.\.|[/\\%\x00-\x1f\x7f]")
_LONGEST_NAME = 255


class ImageName(NamedTuple):
    """The radiograph and the joint that an image's file name claims to show."""

    sop_iuid: str
    joint: str


def landing_root(landing_url: str) -> UPath:
    """The landing folder as a path, absolute if it is local.

    Raises:
        InvalidRequest: The URL carries a password (locations of images are written to the warehouse and to logs), or
            needs a file system that is not installed.
    """
    if urlsplit(landing_url).password:
        raise InvalidRequest(
            "SCORING_LANDING_URL carries a password. Leave it out and give it to fsspec by the environment, such as "
            "FSSPEC_SFTP_PASSWORD, or by a file in ~/.config/fsspec"
        )
    root = open_url(landing_url, "SCORING_LANDING_URL")
    return root.absolute() if root.protocol in {"", "file", "local"} else root


def batch_folder(landing: UPath, batch_date: date) -> UPath:
    """The folder that holds what was extracted on one date."""
    return landing / batch_date.isoformat()


def closed_batches(landing_url: str, success_marker: str) -> list[date]:
    """Dates of all folders that the extractor has closed, oldest first; none if there is no landing folder yet."""
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
    """Read radiograph and joint from a file name; None if the name does not match or could lead out of its folder.

    Args:
        file_name: The last part of the file's path.
        pattern: `Settings.image_pattern`, compiled: named groups `sop_iuid` and `joint`, matched to the whole name.
    """
    if len(file_name) > _LONGEST_NAME or _UNSAFE_IN_NAME.search(file_name):
        return None
    found = pattern.fullmatch(file_name)
    return ImageName(found["sop_iuid"], found["joint"]) if found else None


def _is_iso_date(name: str) -> bool:
    try:
        # Python also reads 20261121, which is no folder of the contract.
        return date.fromisoformat(name).isoformat() == name
    except ValueError:
        return False
