"""The model store: one folder per version, never overwritten, with the shipped model as a fallback."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upath import UPath

from scoring.errors import InvalidRequest, ModelRejected
from scoring.model_store.stored_model import MANIFEST, MODEL_FILES, StoredModel, describe_files, read_model
from scoring.storage import atomic_write

logger = logging.getLogger(__name__)

SHIPPED_DIR = Path(__file__).resolve().parent / "shipped"
SHIPPED_VERSION = "phantom-3"

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def write_model(store_url: str, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> StoredModel:
    """Write a new version and return it as stored.

    The manifest is written last and atomically. A folder without a manifest, left by a run that was stopped or by a
    full disk, is not a model and can be filled again.

    Args:
        store_url: The model store, any fsspec URL.
        facts: Content of the manifest except the hashes of the files and the time; includes `version`.
        files: The bytes of each file in `MODEL_FILES`.

    Raises:
        InvalidRequest: The version exists already or is not a valid name.
        ValueError: A file is missing.
    """
    version = str(facts["version"])
    check_version(version)
    if missing := sorted(set(MODEL_FILES) - set(files)):
        raise ValueError(f"A model consists of {', '.join(MODEL_FILES)}; missing: {', '.join(missing)}.")
    folder = UPath(store_url) / version
    if (folder / MANIFEST).exists():
        raise InvalidRequest(
            f"Model {version} already exists in {store_url}. Choose another version; existing ones are never replaced."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {**facts, "created_at": created_at, "files": describe_files(files)}
    with atomic_write(folder / MANIFEST) as file:
        file.write((json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
    logger.info("model_written version=%s bytes=%d", version, sum(map(len, files.values())))
    return read_model(folder)


def find_model(version: str, store_url: str) -> StoredModel:
    """Load a version from the store, or the shipped model if the store does not have that version.

    Raises:
        InvalidRequest: The version is not a valid name.
        ModelRejected: The version does not exist, or its files do not match their manifest.
    """
    check_version(version)
    for root in (UPath(store_url), UPath(SHIPPED_DIR)):
        if (root / version).is_dir():
            return read_model(root / version)
    known = ", ".join(model_versions(store_url)) or "none"
    raise ModelRejected(
        f"There is no model {version} in {store_url} or in the package. Known versions: {known}. Restore its folder or"
        " promote a known version with `scoring promote VERSION --reason ...`."
    )


def model_versions(store_url: str) -> list[str]:
    """Return the sorted names of all complete versions, including the shipped model."""
    roots = [root for root in (UPath(store_url), UPath(SHIPPED_DIR)) if root.is_dir()]
    return sorted({path.name for root in roots for path in root.iterdir() if (path / MANIFEST).exists()})


def check_version(version: str) -> None:
    """Check that a version is a valid name for a folder of the store; raise InvalidRequest if it is not."""
    if not _VERSION.fullmatch(version):
        raise InvalidRequest(
            f"The model version {version!r} is not valid. Use up to 64 letters, digits, '.', '_' or '-', starting with"
            " a letter or digit."
        )
