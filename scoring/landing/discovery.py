"""Find what a night has to read: its own folder, and what came late to the folders before it. Lists, never opens."""

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from upath import UPath

from scoring.contract import DATASET_SUFFIXES, DATASETS, JOINTS_FOLDER
from scoring.errors import BadInput, LandingNotReady
from scoring.landing.layout import batch_folder, landing_root

logger = logging.getLogger(__name__)

_Complain = Callable[[str, str], None]
"""Called with a file or folder (as `source_file`) that cannot be used, and what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file of the landing zone.

    Attributes:
        source_file: Path below the landing folder, with forward slashes: the name the file has in every table.
        batch_date: Date of the folder that contains it.
        path: Path as its file system wants it.
        size_bytes: Size by the listing, 0 if the file system does not say.
        refused: Why the file must not be opened (a link that leaves the landing folder, a pipe), or None.
    """

    source_file: str
    batch_date: date
    path: str
    size_bytes: int
    refused: str | None = None

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.source_file.rsplit("/", 1)[-1]

    @property
    def dataset(self) -> str:
        """The dataset a table's file belongs to, by its name."""
        return self.name.rsplit(".", 1)[0].lower()


@dataclass(frozen=True)
class BatchFiles:
    """What one night has to read, oldest folder first, then by name.

    Attributes:
        landing_url: The landing folder.
        batch_date: The night.
        datasets: Files of tables.
        images: Files of joint images.
        unusable: Files and folders of earlier nights that are left out, by `source_file`, with what is wrong and what
            to do. They stop their own night; they do not stop this one.
    """

    landing_url: str
    batch_date: date
    datasets: tuple[LandedFile, ...]
    images: tuple[LandedFile, ...]
    unusable: Mapping[str, str] = field(default_factory=dict)


def discover(
    landing_url: str,
    batch_date: date,
    *,
    lookback_days: int,
    success_marker: str,
    with_datasets: bool = True,
    late_folders: Collection[date] | None = None,
) -> BatchFiles:
    """List the files of a night's folder and of the closed folders in its look-back window.

    An earlier folder that is missing or not closed is left out: its own night will wait for it. What somebody did
    wrong in an earlier folder is left out too and told in `BatchFiles.unusable`. A dataset that is absent is no error:
    nothing of it arrived.

    Args:
        landing_url: Any fsspec URL or a local path.
        batch_date: The night.
        lookback_days: How many dates before it are searched too.
        success_marker: Name of the file that closes a folder.
        with_datasets: False if the registry is read by SQL, so that table files are not looked for.
        late_folders: Dates whose folders may hold something late, the nights that have run; others in the window are
            not looked into. None: every one.

    Raises:
        LandingNotReady: The night's own folder is missing or has no marker.
        BadInput: In the night's own folder, a dataset lies twice, as CSV and as Parquet, or a folder is a link that
            leaves the landing folder or may not be read.
        InvalidRequest: The URL carries a password or needs a file system that is not installed.
    """
    root = landing_root(landing_url)
    datasets: list[LandedFile] = []
    images: list[LandedFile] = []
    unusable: dict[str, str] = {}
    for day in _window(batch_date, lookback_days, late_folders):
        folder = batch_folder(root, day)
        complain = _stop if day == batch_date else partial(_leave_out, unusable)
        entries = _list(root, (folder.name,), complain)
        if not any(_name(entry) == success_marker for entry in entries or ()):
            if day == batch_date:
                raise _not_ready(folder, success_marker, exists=entries is not None)
            continue
        files = _files(root, day, (folder.name,), entries or ())
        if with_datasets:
            datasets += _dataset_files(folder.name, files, complain)
        in_joints = (folder.name, JOINTS_FOLDER)
        images += _files(root, day, in_joints, _list(root, in_joints, complain) or ())
    logger.info(
        "discovered batch_date=%s tables=%d images=%d unusable=%d",
        batch_date,
        len(datasets),
        len(images),
        len(unusable),
    )
    return BatchFiles(landing_url, batch_date, tuple(datasets), tuple(images), unusable)


def _window(batch_date: date, lookback_days: int, late_folders: Collection[date] | None) -> list[date]:
    """The night and the dates before it that are searched, oldest first."""
    earlier = (batch_date - timedelta(days=back) for back in range(lookback_days, 0, -1))
    return [*(night for night in earlier if late_folders is None or night in late_folders), batch_date]


def _stop(_: str, reason: str) -> None:
    raise BadInput(reason)


def _leave_out(unusable: dict[str, str], source_file: str, reason: str) -> None:
    logger.warning("late file left out file=%s reason=%s", source_file, reason)
    unusable[source_file] = reason


def _not_ready(folder: UPath, success_marker: str, *, exists: bool) -> LandingNotReady:
    if exists:
        return LandingNotReady(
            f"{folder} has no {success_marker}: the extractor may still be writing. "
            f"If it has finished, create an empty file {success_marker} in that folder."
        )
    return LandingNotReady(
        f"{folder} does not exist: the extractor has not delivered this night, or SCORING_LANDING_URL is not where it "
        "delivers."
    )


def _list(root: UPath, parts: tuple[str, ...], complain: _Complain) -> list[dict[str, Any]] | None:
    """Entries of a folder sorted by name, or None if it does not exist or cannot be used."""
    folder = root.joinpath(*parts)
    file_system = folder.fs
    if isinstance(file_system, LocalFileSystem) and not _lies_within(folder.path, root):
        complain(
            "/".join(parts),
            f"{folder} is a symbolic link that leaves the landing folder. Put the folder itself there.",
        )
        return None
    # Object stores cache listings; a folder that is being waited for must be looked at anew.
    file_system.invalidate_cache(folder.path)
    try:
        entries: list[dict[str, Any]] = file_system.ls(folder.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        complain("/".join(parts), f"{folder} may not be read. Give the job's user the right to read the folder.")
        return None
    return sorted(entries, key=_name)


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _files(root: UPath, day: date, parents: tuple[str, ...], entries: Sequence[dict[str, Any]]) -> list[LandedFile]:
    files = []
    for entry in entries:
        # Object stores keep an empty object "joints/" to remember a folder.
        if entry["type"] == "directory" or str(entry["name"]).endswith("/"):
            continue
        # A name that is no UTF-8 (an old Windows share) could not be written to any table.
        name = _name(entry).encode("utf-8", "backslashreplace").decode()
        files.append(
            LandedFile(
                source_file="/".join((*parents, name)),
                batch_date=day,
                path=str(entry["name"]),
                size_bytes=int(entry.get("size") or 0),
                refused=_refusal(root, entry),
            )
        )
    return files


def _refusal(root: UPath, entry: dict[str, Any]) -> str | None:
    """Why an entry of the listing must not be opened; only local file systems know links and pipes."""
    if entry["type"] == "file":
        return None
    if not entry.get("islink"):
        return "not a regular file; remove it from the landing folder"
    if not _lies_within(entry["name"], root):
        return "a symbolic link that leaves the landing folder; put the file itself there"
    return None if os.path.isfile(entry["name"]) else "a symbolic link to nothing; put the file itself there"


def _lies_within(path: str, root: UPath) -> bool:
    """Whether a local path, with all links followed, is below the landing folder."""
    real_root = os.path.realpath(root.path)
    return os.path.commonpath([os.path.realpath(path), real_root]) == real_root


def _dataset_files(folder: str, files: Sequence[LandedFile], complain: _Complain) -> list[LandedFile]:
    """The file of each dataset; of a dataset that is there twice, none: nobody knows which one is meant."""
    usable = []
    for dataset in DATASETS:
        found = [file for file in files if file.dataset == dataset and file.name.lower().endswith(DATASET_SUFFIXES)]
        if not found:
            logger.warning("dataset absent folder=%s dataset=%s", folder, dataset)
        if len(found) < 2:
            usable += found
            continue
        names = " and ".join(file.source_file for file in found)
        for file in found:
            complain(file.source_file, f"{names} are the same dataset. Remove all but one of them.")
    return usable
