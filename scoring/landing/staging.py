"""Read what was discovered, once, and lay it down as Parquet for the steps that follow.

Images are read and decoded by a few threads (libjpeg runs without the GIL) and written row group by row group: at any
time the job holds the bytes of no more images than it has threads.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa
from fsspec import AbstractFileSystem
from upath import UPath

from scoring.errors import BadInput
from scoring.imaging.inspect import inspect_image
from scoring.landing.discovery import BatchFiles, LandedFile
from scoring.landing.layout import landing_root, parse_image_name
from scoring.landing.readers import read_table, stage_consultations, stage_disease_activity
from scoring.landing.schema import CONSULTATIONS, DISEASE_ACTIVITY, IMAGES, READINGS, parquet_writer
from scoring.progress import Progress, no_progress
from scoring.storage import open_url

logger = logging.getLogger(__name__)

SCHEMAS: Mapping[str, pa.Schema] = {
    "consultations": CONSULTATIONS,
    "readings": READINGS,
    "disease_activity": DISEASE_ACTIVITY,
    "images": IMAGES,
}

ImageKey = tuple[str, str]
"""`source_file` and sha256: one content in one place."""

# The crop of a joint has 5 to 100 kB. A larger file is hashed in pieces and never held, let alone decoded.
MAX_IMAGE_BYTES = 32 * 2**20

_IMAGES_PER_ROW_GROUP = 2048
_PIECE = 2**20


@dataclass(frozen=True)
class StagedBatch:
    """What was staged, small enough for an XCom.

    Attributes:
        counts: Rows of each table (consultations, readings, disease_activity, images): what landed.
        file_sha256: Content hash of each table file that was read, by `source_file`.
        images_known: Images of earlier folders left out because the warehouse has this content from this place.
        unreadable_late_files: Table files of earlier folders, and such folders, that could not be used, with the
            reason. They stop their own night; they do not stop this one.
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
    already_accepted: Callable[[Sequence[ImageKey]], set[ImageKey]],
    seen_files: Mapping[str, str] | None = None,
    registry: Mapping[str, pd.DataFrame] | None = None,
    progress: Progress = no_progress,
    threads: int = 8,
) -> StagedBatch:
    """Stage a night's tables and images as `<table>.parquet`; an image that is no image becomes a row that says so.

    Of earlier folders, only what is new is staged: images whose content is not yet accepted from that place, table
    files whose content is not the one seen before.

    Args:
        files: What `discover` found.
        staging_folder: URL of the run's folder.
        image_pattern: `Settings.image_pattern`.
        already_accepted: Which of these images the warehouse has. Asked about earlier folders only.
        seen_files: Content hashes of table files read by earlier runs, by `source_file`.
        registry: Text frames of `read_registry` if the registry is a database.
        progress: Called after each group of images.
        threads: How many images are read at once.

    Raises:
        BadInput: A table file of the night itself cannot be used.
        InvalidRequest: A URL needs a file system that is not installed.
        OSError: The storage failed. A single file that may not be opened is an undecodable image instead.
    """
    root = landing_root(files.landing_url)
    staging = open_url(staging_folder, "SCORING_STAGING_URL")
    paths = {table: staging / f"{table}.parquet" for table in SCHEMAS}
    tables = _read_tables(files, root.fs, seen_files or {}, registry or {})
    counts = {table: _write(tables.frames[table], paths[table], SCHEMAS[table]) for table in tables.frames}

    done = known = 0
    counts["images"] = 0
    pattern = re.compile(image_pattern)
    facts_of = partial(_facts, file_system=root.fs)
    with parquet_writer(paths["images"], IMAGES) as writer, ThreadPoolExecutor(threads) as pool:
        for group in _groups(files.images, _IMAGES_PER_ROW_GROUP):
            accepted = _accepted_earlier(group, files.batch_date, root.fs, pool, already_accepted)
            new = [file for file in group if file.source_file not in accepted]
            rows = [
                _image_row(file, facts, root, files.batch_date, pattern)
                for file, facts in zip(new, pool.map(facts_of, new), strict=True)
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=IMAGES))
            counts["images"] += len(new)
            known += len(group) - len(new)
            done += len(group)
            progress("reading images", done, len(files.images))
    logger.info("staged batch_date=%s images_known=%d rows=%s", files.batch_date, known, counts)
    return StagedBatch(
        counts=counts,
        file_sha256=tables.sha256,
        images_known=known,
        unreadable_late_files={**files.unusable, **tables.unreadable},
    )


@dataclass(frozen=True)
class _Tables:
    frames: dict[str, list[pd.DataFrame]]
    sha256: dict[str, str]
    unreadable: dict[str, str]

    def add(self, dataset: str, text: pd.DataFrame, source_file: str, batch_date: date) -> None:
        if dataset == "consultations":
            consultations, readings = stage_consultations(text, source_file=source_file, batch_date=batch_date)
            self.frames["consultations"].append(consultations)
            self.frames["readings"].append(readings)
        else:
            self.frames["disease_activity"].append(
                stage_disease_activity(text, source_file=source_file, batch_date=batch_date)
            )


def _read_tables(
    files: BatchFiles,
    file_system: AbstractFileSystem,
    seen_files: Mapping[str, str],
    registry: Mapping[str, pd.DataFrame],
) -> _Tables:
    tables = _Tables({"consultations": [], "readings": [], "disease_activity": []}, {}, {})
    for file in files.datasets:
        late = file.batch_date < files.batch_date
        try:
            data = _read_table_file(file, file_system)
            sha256 = hashlib.sha256(data).hexdigest()
            if late and seen_files.get(file.source_file) == sha256:
                continue
            text = read_table(data, dataset=file.dataset, source_file=file.source_file)
        except BadInput as error:
            if not late:
                raise
            logger.warning("late file left out file=%s reason=%s", file.source_file, error)
            tables.unreadable[file.source_file] = str(error)
            continue
        tables.sha256[file.source_file] = sha256
        tables.add(file.dataset, text, file.source_file, file.batch_date)
    for dataset, text in registry.items():
        # The night is part of the name, so that row 2 of two nights is not the same row.
        tables.add(dataset, text, f"sql:{dataset}/{files.batch_date.isoformat()}", files.batch_date)
    return tables


def _read_table_file(file: LandedFile, file_system: AbstractFileSystem) -> bytes:
    if file.refused:
        raise BadInput(f"{file.source_file} is {file.refused}.")
    try:
        data: bytes = file_system.cat_file(file.path)
    except FileNotFoundError as error:
        raise BadInput(f"{file.source_file} vanished while the night was read. Deliver it again.") from error
    except PermissionError as error:
        raise BadInput(f"{file.source_file} may not be read. Give the job's user the right to read it.") from error
    return data


def _write(frames: Iterable[pd.DataFrame], path: UPath, schema: pa.Schema) -> int:
    rows = 0
    with parquet_writer(path, schema) as writer:
        for frame in frames:
            writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
            rows += len(frame)
    return rows


def _groups(files: Sequence[LandedFile], size: int) -> Iterator[Sequence[LandedFile]]:
    return (files[start : start + size] for start in range(0, len(files), size))


def _accepted_earlier(
    group: Sequence[LandedFile],
    batch_date: date,
    file_system: AbstractFileSystem,
    pool: ThreadPoolExecutor,
    already_accepted: Callable[[Sequence[ImageKey]], set[ImageKey]],
) -> set[str]:
    """Source files of earlier folders whose content the warehouse has from there: hashed, not decoded."""
    late = [file for file in group if file.batch_date < batch_date]
    if not late:
        return set()
    hashes = pool.map(partial(_sha256, file_system=file_system), late)
    keys = [(file.source_file, sha256) for file, sha256 in zip(late, hashes, strict=True) if sha256]
    return {source_file for source_file, _ in already_accepted(keys)}


def _sha256(file: LandedFile, file_system: AbstractFileSystem) -> str | None:
    """Content hash of a file, None if it cannot be opened."""
    if file.refused:
        return None
    try:
        if file.size_bytes > MAX_IMAGE_BYTES:
            return str(_hashed_in_pieces(file, file_system)["sha256"])
        return hashlib.sha256(file_system.cat_file(file.path)).hexdigest()
    except (FileNotFoundError, PermissionError):
        return None


def _facts(file: LandedFile, file_system: AbstractFileSystem) -> dict[str, Any]:
    """Columns of `schema.IMAGES` that need the file's content."""
    if file.refused:
        return _unopened(file, file.refused)
    try:
        if file.size_bytes > MAX_IMAGE_BYTES:
            return _hashed_in_pieces(file, file_system)
        return vars(inspect_image(file_system.cat_file(file.path)))
    except FileNotFoundError:
        return _unopened(file, "vanished while the night was read; deliver it again")
    except PermissionError:
        return _unopened(file, "may not be read; give the job's user the right to read it")


def _unopened(file: LandedFile, reason: str) -> dict[str, Any]:
    return {"sha256": None, "size_bytes": file.size_bytes, "decodes": False, "decode_error": reason}


def _hashed_in_pieces(file: LandedFile, file_system: AbstractFileSystem) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with file_system.open(file.path, "rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    reason = f"{size / 2**20:.0f} MB, more than {MAX_IMAGE_BYTES // 2**20} MB; expected is the crop of one joint"
    return {"sha256": digest.hexdigest(), "size_bytes": size, "decodes": False, "decode_error": reason}


def _image_row(
    file: LandedFile, facts: Mapping[str, Any], root: UPath, batch_date: date, pattern: re.Pattern[str]
) -> dict[str, Any]:
    name = parse_image_name(file.name, pattern)
    return {
        "source_file": file.source_file,
        "row_number": 0,
        "batch_date": file.batch_date,
        "row_key": file.source_file,
        "file_name": file.name,
        "uri": f"{str(root).rstrip('/')}/{file.source_file}",
        "sop_iuid": name.sop_iuid if name else None,
        "joint": name.joint if name else None,
        "late": file.batch_date < batch_date,
        **facts,
    }
