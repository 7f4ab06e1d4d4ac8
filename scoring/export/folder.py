"""An export is a folder with a manifest. It appears under its name when it is whole, or not at all."""

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
    """A folder to fill, which takes its name at the end of the block; if the block fails, nothing of it is left.

    On a local disk that is one rename. An object store knows no folders: there every file is moved and the manifest
    last, so a folder without a manifest is no export. A process that is killed leaves a hidden folder
    `.<name>.<id>.unfinished` beside it and the former export as it was; between the two renames of a replacement, as
    `.<name>.<id>.replaced`.

    Args:
        url: Local path or any fsspec URL of the folder.
        overwrite: Replace an export that is there; anything else that is there is never replaced.

    Raises:
        InvalidRequest: The name is taken.
        StorageUnavailable: The storage refused or is full.
    """
    target = UPath(url)
    try:
        _refuse_taken(target, overwrite=overwrite)
        unfinished = target.parent / f".{target.name}.{uuid4().hex}.unfinished"
        unfinished.mkdir(parents=True)
        try:
            yield unfinished
            _move(unfinished, target)
        finally:
            if unfinished.exists():
                unfinished.fs.rm(unfinished.path, recursive=True)
    except OSError as error:
        raise StorageUnavailable(f"the export {url} could not be written ({error}); nothing was left there") from error


def write_manifest(folder: UPath, content: Mapping[str, Any]) -> None:
    """Say what the folder holds; the last thing that is written into it."""
    text = json.dumps(
        {"made_by": MADE_BY, **content}, indent=2, ensure_ascii=False, default=lambda day: day.isoformat()
    )
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: UPath) -> dict[str, Any] | None:
    """The manifest of an export; None if the folder is none."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("made_by") == MADE_BY else None


def _refuse_taken(target: UPath, *, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if read_manifest(target) is None:
        raise InvalidRequest(f"{target} is there and is not an export: name a folder of its own for the export.")
    if not overwrite:
        raise InvalidRequest(f"{target} holds an export already: --overwrite replaces it, or name another folder.")


def _move(unfinished: UPath, target: UPath) -> None:
    former = target.parent / f".{target.name}.{uuid4().hex}.replaced"
    if isinstance(target, Path):
        if target.exists():
            target.rename(former)
        unfinished.rename(target)
        if former.exists():
            former.fs.rm(former.path, recursive=True)
        return
    file_system = target.fs
    if target.exists():
        file_system.rm(target.path, recursive=True)
    names = [path.removeprefix(unfinished.path).lstrip("/") for path in file_system.find(unfinished.path)]
    for name in sorted(names, key=lambda name: name == MANIFEST):
        moved = target / name
        file_system.makedirs(moved.parent.path, exist_ok=True)
        file_system.mv((unfinished / name).path, moved.path)
