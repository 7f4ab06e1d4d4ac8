"""The folder of an export, with its manifest. It appears under its name when it is complete, or not at all."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from upath import UPath

from scoring.errors import InvalidRequest, StorageUnavailable

MANIFEST = "manifest.json"
MADE_BY = "scoring export"


@contextmanager
def export_folder(url: str, *, overwrite: bool) -> Iterator[UPath]:
    """Yield a temporary folder that takes its final name at the end of the block; if the block fails, nothing remains.

    On a local disk, this is one rename. In an object store, which has no folders, files are moved, the manifest last; a
    folder without a manifest is not an export. A killed process leaves a hidden folder `.<name>.<id>.unfinished` next
    to the previous export. Between the two renames of a replacement, the previous export is `.<name>.<id>.replaced`.

    `url` is a local path or fsspec URL. An existing export is replaced only with `overwrite`, and any other existing
    content never.

    Raises:
        InvalidRequest: The folder has content that may not be replaced.
        StorageUnavailable: The storage failed or is full.
    """
    target = UPath(url)
    try:
        _check_replaceable(target, overwrite=overwrite)
        unfinished = target.parent / f".{target.name}.{uuid4().hex}.unfinished"
        unfinished.mkdir(parents=True)
        try:
            yield unfinished
            _move(unfinished, target)
        finally:
            if unfinished.exists():
                unfinished.fs.rm(unfinished.path, recursive=True)
    except OSError as error:
        raise StorageUnavailable(
            f"The export {url} could not be written ({error}). Check the storage and export again; no file was left."
        ) from error


def write_manifest(folder: UPath, content: Mapping[str, Any]) -> None:
    """Write the manifest, which describes the export, as the last file of the folder."""
    facts = {"made_by": MADE_BY, **content}
    text = json.dumps(facts, indent=2, ensure_ascii=False, default=lambda day: day.isoformat())
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: UPath) -> dict[str, Any] | None:
    """Return the manifest of an export; None if the folder is not an export."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("made_by") == MADE_BY else None


def _check_replaceable(target: UPath, *, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if read_manifest(target) is None:
        raise InvalidRequest(f"{target} exists and is not an export. Choose a new or empty folder.")
    if not overwrite:
        raise InvalidRequest(f"{target} already contains an export. Use --overwrite to replace it, or another folder.")


def _move(unfinished: UPath, target: UPath) -> None:
    if isinstance(target, Path):
        previous = target.parent / f".{target.name}.{uuid4().hex}.replaced"
        if target.exists():
            target.rename(previous)
        unfinished.rename(target)
        if previous.exists():
            previous.fs.rm(previous.path, recursive=True)
        return
    file_system = target.fs
    if target.exists():
        file_system.rm(target.path, recursive=True)
    names = [path.removeprefix(unfinished.path).lstrip("/") for path in file_system.find(unfinished.path)]
    for name in sorted(names, key=lambda name: name == MANIFEST):
        moved = target / name
        file_system.makedirs(moved.parent.path, exist_ok=True)
        file_system.mv((unfinished / name).path, moved.path)
