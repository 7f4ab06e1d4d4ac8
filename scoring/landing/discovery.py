"""Lists the files of a batch: those of its own folder, and late files of earlier folders. Opens none of them."""

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from upath import UPath

from scoring.contract import DATASET_SUFFIXES, DATASETS, JOINTS_FOLDER
from scoring.errors import BadInput, LandingNotReady
from scoring.landing.layout import landing_root

log = logging.getLogger(__name__)

_Report = Callable[[str, str], None]
"""Called with the `source_file` of an unusable file or folder, and with the reason and remedy."""


@dataclass(frozen=True, slots=True)
class LandingFile:
    """A file of the landing zone.

    Attributes:
        source_file: Path below the landing folder, with forward slashes. Identifies the file in every table.
        batch_date: Date of its folder.
        path: Path for its file system.
        size_bytes: Size in the listing; 0 if the file system does not report it.
        rejection: Why the file must not be opened (a link that leaves the landing folder, a pipe), or None.
    """

    source_file: str
    batch_date: date
    path: str
    size_bytes: int
    rejection: str | None = None

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.source_file.rsplit("/", 1)[-1]

    @property
    def dataset(self) -> str:
        """Dataset of a table, from its file name."""
        return self.name.rsplit(".", 1)[0].lower()


@dataclass(frozen=True)
class BatchFiles:
    """The files to read for a batch, oldest folder first, then by name.

    `unusable` has the reason and remedy by `source_file`, for unusable files and folders of earlier batches. They stop
    the run of their own batch, but not this one.
    """

    landing_url: str
    batch_date: date
    datasets: Sequence[LandingFile]
    images: Sequence[LandingFile]
    unusable: Mapping[str, str]


def discover(
    landing_url: str,
    batch_date: date,
    *,
    lookback_days: int,
    success_marker: str,
    with_datasets: bool = True,
    late_folders: Collection[date] | None = None,
) -> BatchFiles:
    """List the files of a batch folder and of the closed folders in its look-back window.

    Earlier folders that are missing or not closed are ignored: the run of their own batch waits for them. A missing
    table is not an error.

    Args:
        landing_url: Any fsspec URL or local path.
        batch_date: Date of the batch.
        lookback_days: Number of earlier dates to search.
        success_marker: Name of the file that closes a folder.
        with_datasets: False if the registry is read by SQL, so that table files are ignored.
        late_folders: Dates of batches that have run, so that their folders may contain late files. Other folders of the
            window are ignored. None searches all.

    Raises:
        LandingNotReady: The folder of the batch is missing or has no marker.
        BadInput: The folder of the batch has a table both as CSV and as Parquet, is not readable, or is a link that
            leaves the landing folder.
        InvalidRequest: The URL contains a password or needs a file system that is not installed.
    """
    root = landing_root(landing_url)
    datasets: list[LandingFile] = []
    images: list[LandingFile] = []
    unusable: dict[str, str] = {}
    earlier = [batch_date - timedelta(days=days) for days in range(lookback_days, 0, -1)]
    searched = [day for day in earlier if late_folders is None or day in late_folders]
    for day in [*searched, batch_date]:
        report: _Report = _stop if day == batch_date else unusable.__setitem__
        folder = str(day)
        entries = _list(root, folder, report)
        if not any(_name(entry) == success_marker for entry in entries or ()):
            if day == batch_date:
                raise _not_ready(root / folder, success_marker, exists=entries is not None)
            continue
        if with_datasets:
            datasets += _dataset_files(folder, _files(root, folder, entries), report)
        joints = f"{folder}/{JOINTS_FOLDER}"
        images += _files(root, joints, _list(root, joints, report))
    event = "files_discovered batch_date=%s tables=%d images=%d unusable=%d"
    log.info(event, batch_date, len(datasets), len(images), len(unusable))
    return BatchFiles(landing_url, batch_date, datasets, images, unusable)


def _stop(_: str, reason: str) -> None:
    raise BadInput(reason)


def _not_ready(folder: UPath, success_marker: str, *, exists: bool) -> LandingNotReady:
    if exists:
        return LandingNotReady(
            f"{folder} has no {success_marker}: the extractor may still be writing. If it has finished, create an "
            f"empty file {success_marker} in this folder."
        )
    return LandingNotReady(
        f"{folder} does not exist: the extractor has not delivered this batch, or SCORING_LANDING_URL is wrong."
    )


def _list(root: UPath, folder: str, report: _Report) -> list[dict[str, Any]] | None:
    """Return the entries of a folder, sorted by name; None if it does not exist or is unusable."""
    path = root / folder
    file_system = path.fs
    if isinstance(file_system, LocalFileSystem) and not _is_inside(path.path, root):
        report(folder, f"{path} is a symbolic link out of the landing folder. Replace it with the folder itself.")
        return None
    # Object stores cache listings, but a retry must see the current one.
    file_system.invalidate_cache(path.path)
    try:
        entries: list[dict[str, Any]] = file_system.ls(path.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        report(folder, f"{path} is not readable. Give the user of the job read permission.")
        return None
    return sorted(entries, key=_name)


def _name(entry: dict[str, Any]) -> str:
    return PurePosixPath(entry["name"]).name


def _files(root: UPath, folder: str, entries: Sequence[dict[str, Any]] | None) -> list[LandingFile]:
    return [
        LandingFile(
            # A name that is not UTF-8 (from an old Windows share) could not be written to a table.
            f"{folder}/{_name(entry).encode('utf-8', 'backslashreplace').decode()}",
            date.fromisoformat(folder[:10]),
            entry["name"],
            int(entry.get("size") or 0),
            _rejection(root, entry),
        )
        for entry in entries or ()
        # Object stores represent a folder by an empty object such as "joints/".
        if entry["type"] != "directory" and not entry["name"].endswith("/")
    ]


def _rejection(root: UPath, entry: dict[str, Any]) -> str | None:
    """Return why an entry must not be opened. Only local file systems have links and pipes."""
    if entry["type"] == "file":
        return None
    if not entry.get("islink"):
        return "not a regular file; remove it from the landing folder"
    if not _is_inside(entry["name"], root):
        return "a symbolic link out of the landing folder; replace it with the file itself"
    return None if os.path.isfile(entry["name"]) else "a broken symbolic link; replace it with the file itself"


def _is_inside(path: str, root: UPath) -> bool:
    """True if a local path, with all links resolved, is below the landing folder."""
    real_root = os.path.realpath(root.path)
    return os.path.commonpath([os.path.realpath(path), real_root]) == real_root


def _dataset_files(folder: str, files: Sequence[LandingFile], report: _Report) -> list[LandingFile]:
    """Return the file of each dataset; none for a dataset with several files, because the right one is not known."""
    usable = []
    for dataset in DATASETS:
        found = [file for file in files if file.dataset == dataset and file.name.lower().endswith(DATASET_SUFFIXES)]
        if not found:
            log.warning("dataset_absent folder=%s dataset=%s", folder, dataset)
        if len(found) < 2:
            usable += found
            continue
        names = " and ".join(file.source_file for file in found)
        for file in found:
            report(file.source_file, f"{names} contain the same table. Keep only one of them.")
    return usable
