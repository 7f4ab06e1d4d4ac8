"""The files of a training: a checkpoint to resume it after its last epoch, and its learning curves."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidRequest
from scoring.networks.weights import Weights
from scoring.storage import atomic_write
from scoring.training.data.joint_set import JointSet, snapshot_sha256
from scoring.training.recipes import TrainingRecipe

CHECKPOINT = "checkpoint.npz"
"""File from which a stopped training resumes."""

TENSORBOARD = "tensorboard"
"""Folder next to the checkpoint with the learning curves; `tensorboard --logdir` shows them."""

Arrays = Mapping[str, Mapping[str, NDArray[Any]]]
"""Named arrays by group: current weights, best weights, optimiser."""


def training_sha256(
    recipe: TrainingRecipe,
    training: JointSet,
    validation: JointSet,
    start: Weights | None,
    prior_readings: NDArray[np.float32] | None,
) -> str:
    """Return a hash of everything that the steps of a training depend on."""
    parts = [json.dumps(asdict(recipe), sort_keys=True), snapshot_sha256(training), snapshot_sha256(validation)]
    arrays = dict(start or {}) | ({} if prior_readings is None else {"prior_readings": prior_readings})
    for name, values in sorted(arrays.items()):
        parts += [name, hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_checkpoint(path: Path, identity: str, history: list[dict[str, Any]], arrays: Arrays) -> None:
    """Write the epochs and arrays of the training with this `training_sha256`."""
    record = json.dumps({"identity": identity, "history": history})
    named = {f"{group}:{name}": values for group, members in arrays.items() for name, values in members.items()}
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, record=np.array(record), **named)


def read_checkpoint(path: Path, identity: str) -> tuple[list[dict[str, Any]], Arrays]:
    """Read the epochs and arrays of a training; raise InvalidRequest if they belong to another `training_sha256`."""
    with np.load(path, allow_pickle=False) as stored:
        record = json.loads(str(stored["record"]))
        if record["identity"] != identity:
            raise InvalidRequest(
                f"{path} belongs to a training with another recipe, start or data. Delete it or use another folder."
            )
        arrays: dict[str, dict[str, NDArray[Any]]] = {}
        for key in stored.files:
            group, _, name = key.partition(":")
            arrays.setdefault(group, {})[name] = stored[key]
    return record["history"], arrays


def log_curves(folder: Path, epoch: int, values: Mapping[str, float]) -> None:
    """Append the values of an epoch to the TensorBoard log."""
    import tensorflow as tf

    with tf.summary.create_file_writer(str(folder)).as_default(step=epoch):
        for name, value in values.items():
            tf.summary.scalar(name, value)
