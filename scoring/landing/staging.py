"""Reads the discovered files once and stages them as Parquet for the steps that follow.

Images are read and decoded by a few threads (libjpeg releases the GIL) and written in row groups. At any time, the job
holds the bytes of at most one image per thread.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
from upath import UPath

from scoring.errors import BadInput
from scoring.imaging.inspect import inspect_image
from scoring.landing.discovery import BatchFiles, LandingFile
from scoring.landing.layout import landing_root, parse_image_name
from scoring.landing.readers import read_table
from scoring.landing.schema import SCHEMAS, parquet_writer
from scoring.landing.tables import stage_table
from scoring.progress import Progress, no_progress
from scoring.storage import open_url

ImageKey = tuple[str, str]
"""`source_file` and sha256 of an image."""

AlreadyAccepted = Callable[[Sequence[ImageKey]], set[ImageKey]]
"""Returns those of the given images that the warehouse already has."""

# The crop of a joint has 5 to 100 kB. A larger file than this is hashed in pieces and not decoded.
MAX_IMAGE_BYTES = 32 * 2**20

_IMAGES_PER_ROW_GROUP = 2048


@dataclass(frozen=True)
class StagedBatch:
    """Summary of a staged batch, small enough for an XCom.

    Attributes:
        counts: Number of received rows per table (consultations, readings, disease_activity, images).
        file_sha256: Content hash of each table file that was read, by `source_file`.
        images_known: Number of images in earlier folders that the warehouse already has, with the same content.
        unreadable_late_files: Reason and remedy by `source_file`, for unusable table files and folders of earlier
            batches. They stop the run of their own batch, but not this one.
    """

    counts: dict[str, int]
    file_sha256: dict[str, str]
    images_known: int
    unreadable_late_files: dict[str, str]


def stage_batch(
    files: BatchFiles,
    staging_folder: str,
    *,
    image_pattern: str,
    already_accepted: AlreadyAccepted,
    seen_files: Mapping[str, str] | None = None,
    registry: Mapping[str, pd.DataFrame] | None = None,
    progress: Progress = no_progress,
    threads: int = 8,
) -> StagedBatch:
    """Stage tables and images of a batch as `<table>.parquet`. An invalid image becomes a row with the reason.

    From earlier folders, only new files are staged: images with content that the warehouse does not have from this
    place, and table files with content that no earlier run has read.

    Args:
        files: Result of `discover`.
        staging_folder: URL of the run's folder.
        image_pattern: `Settings.image_pattern`.
        already_accepted: Called with images of earlier folders.
        seen_files: Content hashes of table files read by earlier runs, by `source_file`.
        registry: Text frames of `read_registry`, if the registry is a database.
        progress: Called after each group of images.
        threads: Number of images read at the same time.

    Raises:
        BadInput: A table file of the batch itself cannot be used.
        InvalidRequest: A URL needs a file system that is not installed.
        OSError: The storage failed. A single unreadable image is staged as an undecodable image instead.
    """
    images = _Images(landing_root(files.landing_url), files.batch_date, re.compile(image_pattern))
    staging = open_url(staging_folder, "SCORING_STAGING_URL")
    tables = _read_tables(files, images.root, seen_files or {}, registry or {})
    counts = {table: _write_table(staging, table, frames) for table, frames in tables.frames.items()}
    counts["images"] = n_known = 0
    with parquet_writer(staging / "images.parquet", SCHEMAS["images"]) as writer, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(files.images), _IMAGES_PER_ROW_GROUP):
            group = files.images[start : start + _IMAGES_PER_ROW_GROUP]
            known = images.known(group, pool, already_accepted)
            rows = list(pool.map(images.row, (file for file in group if file.source_file not in known)))
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["images"]))
            counts["images"] += len(rows)
            n_known += len(known)
            progress("reading images", start + len(group), len(files.images))
    return StagedBatch(counts, tables.sha256, n_known, {**files.unusable, **tables.unreadable})


@dataclass(frozen=True)
class _Tables:
    """Frames by name of the staged table, hashes and reasons by `source_file`."""

    frames: dict[str, list[pd.DataFrame]]
    sha256: dict[str, str]
    unreadable: dict[str, str]

    def add(self, dataset: str, text: pd.DataFrame, source_file: str, batch_date: date) -> None:
        staged = stage_table(dataset, text, source_file=source_file, batch_date=batch_date)
        for table, frame in staged.items():
            self.frames[table].append(frame)


def _read_tables(
    files: BatchFiles, root: UPath, seen_files: Mapping[str, str], registry: Mapping[str, pd.DataFrame]
) -> _Tables:
    tables = _Tables({table: [] for table in SCHEMAS if table != "images"}, {}, {})
    for file in files.datasets:
        is_late = file.batch_date < files.batch_date
        try:
            data = _read_table_file(file, root)
            sha256 = hashlib.sha256(data).hexdigest()
            if is_late and seen_files.get(file.source_file) == sha256:
                continue
            text = read_table(data, dataset=file.dataset, source_file=file.source_file)
        except BadInput as error:
            if not is_late:
                raise
            tables.unreadable[file.source_file] = str(error)
            continue
        tables.sha256[file.source_file] = sha256
        tables.add(file.dataset, text, file.source_file, file.batch_date)
    for dataset, text in registry.items():
        # The date is part of the name because row 2 of two batches is not the same row.
        tables.add(dataset, text, f"sql:{dataset}/{files.batch_date.isoformat()}", files.batch_date)
    return tables


def _read_table_file(file: LandingFile, root: UPath) -> bytes:
    try:
        with _readable(file):
            data: bytes = root.fs.cat_file(file.path)
    except _UnreadableFile as error:
        raise BadInput(f"{file.source_file} cannot be read: {error}.") from error
    return data


def _write_table(staging: UPath, table: str, frames: Sequence[pd.DataFrame]) -> int:
    with parquet_writer(staging / f"{table}.parquet", SCHEMAS[table]) as writer:
        for frame in frames:
            writer.write_table(pa.Table.from_pandas(frame, schema=SCHEMAS[table], preserve_index=False))
    return sum(map(len, frames))


class _UnreadableFile(Exception):
    """A single file cannot be read. The message gives the reason and the remedy, in lower case."""


@contextmanager
def _readable(file: LandingFile) -> Iterator[None]:
    """Raise `_UnreadableFile` for an error about this file alone; other errors mean that the storage failed."""
    if file.rejection:
        raise _UnreadableFile(file.rejection)
    try:
        yield
    except FileNotFoundError as error:
        raise _UnreadableFile("disappeared during the run; deliver it again") from error
    except PermissionError as error:
        raise _UnreadableFile("not readable; give the user of the job read permission") from error


@dataclass(frozen=True)
class _Images:
    """Reader of the images of a batch."""

    root: UPath
    batch_date: date
    pattern: re.Pattern[str]

    def known(
        self, files: Sequence[LandingFile], pool: ThreadPoolExecutor, already_accepted: AlreadyAccepted
    ) -> set[str]:
        """Return the source files of earlier folders with accepted content; they are hashed, but not decoded."""
        late = [file for file in files if file.batch_date < self.batch_date]
        if not late:
            return set()
        hashes = pool.map(self._sha256, late)
        keys = [(file.source_file, sha256) for file, sha256 in zip(late, hashes, strict=True) if sha256]
        return {source_file for source_file, _ in already_accepted(keys)}

    def row(self, file: LandingFile) -> dict[str, Any]:
        """Return the row of an image, with the columns of `schema.IMAGES`."""
        name = parse_image_name(file.name, self.pattern)
        return {
            "source_file": file.source_file,
            "row_number": 0,
            "batch_date": file.batch_date,
            "row_key": file.source_file,
            "file_name": file.name,
            "uri": f"{str(self.root).rstrip('/')}/{file.source_file}",
            "sop_iuid": name.sop_iuid if name else None,
            "joint": name.joint if name else None,
            "late": file.batch_date < self.batch_date,
            **self._facts(file, lambda data: vars(inspect_image(data))),
        }

    def _sha256(self, file: LandingFile) -> str | None:
        sha256: str | None = self._facts(file, lambda data: {"sha256": hashlib.sha256(data).hexdigest()})["sha256"]
        return sha256

    def _facts(self, file: LandingFile, inspect: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
        """Inspect the content of a file. A file that is unreadable or too large gets the reason as `decode_error`."""
        not_decoded = {"sha256": None, "size_bytes": file.size_bytes, "decodes": False}
        try:
            with _readable(file):
                if file.size_bytes <= MAX_IMAGE_BYTES:
                    return inspect(self.root.fs.cat_file(file.path))
                with self.root.fs.open(file.path, "rb") as stream:
                    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except _UnreadableFile as error:
            return {**not_decoded, "decode_error": str(error)}
        size, limit = (f"{n / 2**20:.0f} MB" for n in (file.size_bytes, MAX_IMAGE_BYTES))
        reason = f"{size}, more than {limit}; deliver the crop of a single joint"
        return {**not_decoded, "sha256": sha256, "decode_error": reason}
