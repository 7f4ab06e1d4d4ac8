"""Reads the discovered files once and stages them as Parquet for the steps that follow.

Several threads read and decode the images (libjpeg releases the GIL). Each holds the bytes of one image at a time.
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
_THREADS = 8


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
    seen_files: Mapping[str, str] = {},
    registry: Mapping[str, pd.DataFrame] = {},
    progress: Progress = no_progress,
) -> StagedBatch:
    """Stage tables and images of a batch as `<table>.parquet`. An invalid image becomes a row with the reason.

    From earlier folders, only new files are staged: images with content that the warehouse does not have from this
    place, and table files with content that no earlier run has read. `seen_files` has the content hashes of the latter
    by `source_file`. `registry` has the text frames of `read_registry`, if the registry is a database.

    Raises:
        BadInput: A table file of the batch itself cannot be used.
        InvalidRequest: A URL needs a file system that is not installed.
        OSError: The storage failed. A single unreadable image is staged as an undecodable image instead.
    """
    images = _Images(landing_root(files.landing_url), files.batch_date, re.compile(image_pattern))
    staging = open_url(staging_folder, "SCORING_STAGING_URL")
    staged, sha256, unreadable = _read_tables(files, images.root, seen_files)
    for dataset, text in registry.items():
        # The date is part of the name because row 2 of two batches is not the same row.
        source_file = f"sql:{dataset}/{files.batch_date}"
        staged.append(stage_table(dataset, text, source_file=source_file, batch_date=files.batch_date))
    counts = {table: _write_table(staging, table, staged) for table in SCHEMAS if table != "images"}
    counts["images"] = n_known = 0
    with parquet_writer(staging / "images.parquet", SCHEMAS["images"]) as writer, ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(files.images), _IMAGES_PER_ROW_GROUP):
            group = files.images[start : start + _IMAGES_PER_ROW_GROUP]
            known = images.known(group, pool, already_accepted)
            rows = list(pool.map(images.row, (file for file in group if file.source_file not in known)))
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS["images"]))
            counts["images"] += len(rows)
            n_known += len(known)
            progress("reading images", start + len(group), len(files.images))
    return StagedBatch(counts, sha256, n_known, {**files.unusable, **unreadable})


def _read_tables(
    files: BatchFiles, root: UPath, seen_files: Mapping[str, str]
) -> tuple[list[dict[str, pd.DataFrame]], dict[str, str], dict[str, str]]:
    """Return the staged tables of each file, and by `source_file` the hashes, and the errors of late files."""
    staged = []
    hashes = {}
    unreadable = {}
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
            unreadable[file.source_file] = str(error)
            continue
        hashes[file.source_file] = sha256
        staged.append(stage_table(file.dataset, text, source_file=file.source_file, batch_date=file.batch_date))
    return staged, hashes, unreadable


def _read_table_file(file: LandingFile, root: UPath) -> bytes:
    try:
        with _readable(file):
            data: bytes = root.fs.cat_file(file.path)
    except _UnreadableFile as error:
        raise BadInput(f"{file.source_file} cannot be read: {error}.") from error
    return data


def _write_table(staging: UPath, table: str, staged: Sequence[dict[str, pd.DataFrame]]) -> int:
    frames = [tables[table] for tables in staged if table in tables]
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
        raise _UnreadableFile("no permission; allow the user of the job to read it") from error


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
        sop_iuid, joint = parse_image_name(file.name, self.pattern) or (None, None)
        return {
            "source_file": file.source_file,
            "row_number": 0,
            "batch_date": file.batch_date,
            "row_key": file.source_file,
            "file_name": file.name,
            "uri": f"{str(self.root).rstrip('/')}/{file.source_file}",
            "sop_iuid": sop_iuid,
            "joint": joint,
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
