"""A stored model: a manifest and the files it lists, read once, verified and used from memory.

The verified bytes are the bytes that are used, so a file cannot change between verification and use, and a model store
can be any fsspec URL. Reading a model needs neither keras nor OpenVINO.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from upath import UPath

from scoring.errors import ModelRejected
from scoring.imaging.preprocess import PREPROCESSING_VERSION
from scoring.networks.readout import USUAL_RULE, ReadOutRule

MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"
GRAPH = "network.xml"
GRAPH_WEIGHTS = "network.bin"
MODEL_FILES = (WEIGHTS, GRAPH, GRAPH_WEIGHTS)

NOTICE = "Trained on synthetic phantoms. Not for clinical use."

_REMEDY = "Restore the folder of the model or train a new version."
_REQUIRED = ("version", "architecture", "arguments", "input_side", "preprocessing_version", "files")


@dataclass(frozen=True)
class StoredModel:
    """A model whose files all have the size and SHA-256 stated in its manifest."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def version(self) -> str:
        """Name of the model in the store and in the rows of predictions."""
        return str(self.manifest["version"])

    @property
    def side(self) -> int:
        """Side of the network's square input in pixels."""
        return int(self.manifest["input_side"])

    @property
    def preprocessing_version(self) -> str:
        """Version of the preprocessing that the network was trained with."""
        return str(self.manifest["preprocessing_version"])

    @property
    def rule(self) -> ReadOutRule:
        """Read-out rule for grades and intervals."""
        stated = self.manifest.get("read_out")
        return USUAL_RULE if stated is None else ReadOutRule.from_dict(stated)

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights; identifies the network independently of the engine."""
        return str(self.manifest["files"][WEIGHTS]["sha256"])


def describe_files(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of each file, in the format of a manifest."""
    return {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())
    }


def read_model(folder: UPath) -> StoredModel:
    """Read a model from its folder and verify it.

    Raises:
        ModelRejected: The manifest or a file is missing or differs from the manifest, or the model was trained with
            another preprocessing than that of this code.
    """
    manifest = _read_manifest(folder)
    if manifest["preprocessing_version"] != PREPROCESSING_VERSION:
        raise ModelRejected(
            f"{folder / MANIFEST}: the model was trained with preprocessing {manifest['preprocessing_version']!r}, but"
            f" this code has {PREPROCESSING_VERSION!r}. Use code revision {manifest.get('code_revision', 'unknown')}."
        )
    files = {name: _read_file(folder / name) for name in sorted(manifest["files"])}
    for name, found in describe_files(files).items():
        if found != (stated := manifest["files"][name]):
            raise ModelRejected(
                f"{folder / name} was changed: its sha256 is {found['sha256']} ({found['bytes']} bytes), but its"
                f" manifest states {stated.get('sha256')} ({stated.get('bytes')} bytes). {_REMEDY}"
            )
    return StoredModel(manifest, files)


def _read_manifest(folder: UPath) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(_read_file(path))
    except ValueError as error:
        raise ModelRejected(f"{path} is not valid JSON ({error}). {_REMEDY}") from error
    if missing := [key for key in _REQUIRED if not isinstance(manifest, dict) or key not in manifest]:
        raise ModelRejected(f"{path} lacks the keys {', '.join(missing)}. {_REMEDY}")
    if unlisted := sorted(set(MODEL_FILES) - set(manifest["files"])):
        raise ModelRejected(f"{path} does not list the files {', '.join(unlisted)}. {_REMEDY}")
    # A manifest from another source must not make this job read files outside the folder of the model.
    if outside := sorted(name for name in manifest["files"] if "/" in name or "\\" in name or name.startswith(".")):
        raise ModelRejected(f"{path} lists files outside its folder: {', '.join(outside)}. {_REMEDY}")
    return manifest


def _read_file(path: UPath) -> bytes:
    try:
        return bytes(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelRejected(f"{path} is missing. {_REMEDY}") from error
