"""A stored model: a manifest and the files it vouches for, read once, checked, and used from memory.

The checked bytes are the bytes that are used, so nobody can change a file between the check and its use; and a model
store may be any fsspec URL. Neither keras nor OpenVINO is needed to read one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from upath import UPath

from scoring.errors import ModelRejected
from scoring.networks.readout import USUAL_RULE, ReadOutRule

MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"
GRAPH = "network.xml"
GRAPH_WEIGHTS = "network.bin"
MODEL_FILES = (WEIGHTS, GRAPH, GRAPH_WEIGHTS)

NOTICE = "Trained on synthetic phantoms. Not for clinical use."

_REQUIRED = ("version", "architecture", "arguments", "input_side", "preprocessing_version", "files")


@dataclass(frozen=True)
class StoredModel:
    """A model whose every file has the size and sha256 that its manifest states."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def version(self) -> str:
        """Name of the model in the store and in every prediction row."""
        return str(self.manifest["version"])

    @property
    def side(self) -> int:
        """Side of the network's square input in pixels."""
        return int(self.manifest["input_side"])

    @property
    def preprocessing_version(self) -> str:
        """The preprocessing that the network was trained on."""
        return str(self.manifest["preprocessing_version"])

    @property
    def rule(self) -> ReadOutRule:
        """How grades and intervals are read from what the network gives."""
        stated = self.manifest.get("read_out")
        return USUAL_RULE if stated is None else ReadOutRule.from_dict(stated)

    @property
    def weights_sha256(self) -> str:
        """The hash that identifies the network itself, whatever engine runs it."""
        return str(self.manifest["files"][WEIGHTS]["sha256"])


def describe_files(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Size and sha256 of every file, as they stand in a manifest."""
    return {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())
    }


def read_model(folder_url: str, preprocessing_version: str) -> StoredModel:
    """Read a model from its folder and check it.

    Args:
        folder_url: Folder of one version, any fsspec URL.
        preprocessing_version: The preprocessing that will feed the network.

    Raises:
        ModelRejected: The manifest or a file is missing or differs from what the manifest states, or the model was
            trained on a preprocessing that this code does not have.
    """
    folder = UPath(folder_url)
    manifest = _read_manifest(folder)
    if manifest["preprocessing_version"] != preprocessing_version:
        raise ModelRejected(
            f"{folder / MANIFEST}: trained on preprocessing {manifest['preprocessing_version']!r}, this code has"
            f" {preprocessing_version!r}; run it with the code revision {manifest.get('code_revision', 'unknown')}"
        )
    files = {name: _read_file(folder / name) for name in sorted(manifest["files"])}
    for name, found in describe_files(files).items():
        stated = manifest["files"][name]
        if found != stated:
            raise ModelRejected(
                f"{folder / name} was changed: sha256 {found['sha256']} ({found['bytes']} bytes), its manifest states"
                f" {stated.get('sha256')} ({stated.get('bytes')} bytes); restore the file or train a new version"
            )
    return StoredModel(manifest, files)


def _read_manifest(folder: UPath) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(_read_file(path))
    except ValueError as error:
        raise ModelRejected(f"{path} is not JSON ({error}); restore it or train a new version") from error
    absent = [key for key in _REQUIRED if not isinstance(manifest, dict) or key not in manifest]
    if absent:
        raise ModelRejected(f"{path} lacks {', '.join(absent)}; it was not written by this project")
    unlisted = sorted(set(MODEL_FILES) - set(manifest["files"]))
    if unlisted:
        raise ModelRejected(f"{path} vouches for no {', '.join(unlisted)}; a model has {', '.join(MODEL_FILES)}")
    # A manifest from elsewhere must not make this job read files outside the model's folder.
    if strangers := sorted(name for name in manifest["files"] if "/" in name or "\\" in name or name.startswith(".")):
        raise ModelRejected(f"{path} names files outside its folder: {', '.join(strangers)}")
    return manifest


def _read_file(path: UPath) -> bytes:
    try:
        data: bytes = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelRejected(f"{path} is missing; restore it or train a new version") from error
    return data
