"""Read joints as arrays, split by patient, identified by a hash of their content."""

import hashlib
import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from scoring.clinical import ratingen
from scoring.errors import BadInput
from scoring.storage import atomic_write

logger = logging.getLogger(__name__)

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

# 70/20/10 per cent of the patients.
_TRAIN_BELOW, _VALIDATION_BELOW = 0.70, 0.90


@dataclass(frozen=True)
class JointSet:
    """n joints that somebody read.

    Attributes:
        images: uint8 `(n, side, side)`, as preprocessing returns them.
        reading: Erosion as read, per cent, float32 `(n,)`; what the network learns and is judged by.
        truth: Erosion as it is, per cent, float32 `(n,)`; known of phantoms only, else NaN.
        patient_id: `(n,)` strings; decides the split.
        joint: `(n,)` strings, column names of the registry.
        sop_iuid: `(n,)` strings, the radiograph; joints of one radiograph make its Rau score.
        year: `(n,)` int64, the year in which the radiograph was taken.
    """

    images: NDArray[np.uint8]
    reading: NDArray[np.float32]
    truth: NDArray[np.float32]
    patient_id: NDArray[np.str_]
    joint: NDArray[np.str_]
    sop_iuid: NDArray[np.str_]
    year: NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.__dataclass_fields__}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"a joint set needs arrays of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def grades(self) -> NDArray[np.int64]:
        """Ratingen grades of the readings."""
        return np.asarray(ratingen.grade(self.reading), dtype=np.int64)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "JointSet":
        """The chosen joints as a set of their own."""
        return JointSet(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def concatenate(parts: Sequence[JointSet]) -> JointSet:
    """Several sets, at least one, as one, in their order."""
    return JointSet(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in JointSet.__dataclass_fields__}
    )


def split_of(patient_id: str) -> SplitName:
    """The part of the data that a patient belongs to, now and for ever.

    The first 8 bytes of sha256(patient_id), read as a fraction of 1: below .70 train, below .90 validation, else test.
    It depends on nothing else: a patient never moves when the data grow, and all of a patient's joints stay together.

    Args:
        patient_id: As the registry writes it; "00123" and "123" are two patients.
    """
    fraction = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8], "big") / 2**64
    if fraction < _TRAIN_BELOW:
        return "train"
    return "validation" if fraction < _VALIDATION_BELOW else "test"


def parts_of(joints: JointSet) -> NDArray[np.str_]:
    """The part that each joint belongs to, by `split_of` of its patient, `(n,)`."""
    patients, index = np.unique(joints.patient_id, return_inverse=True)
    return np.array([split_of(str(patient)) for patient in patients], dtype=np.str_)[index]


def split(joints: JointSet) -> dict[SplitName, JointSet]:
    """The three parts of a set."""
    part = parts_of(joints)
    return {name: joints.take(part == name) for name in SPLITS}


def snapshot_sha256(joints: JointSet) -> str:
    """A hash of everything in the set, so that a manifest can say exactly what a model was trained on.

    The order of the joints counts: it decides which of them meet in a batch.
    """
    digest = hashlib.sha256()
    for values in (joints.images, joints.reading, joints.truth, joints.year):
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    for names in (joints.patient_id, joints.joint, joints.sop_iuid):
        digest.update("\n".join(map(str, names)).encode())
    return digest.hexdigest()


def cached(path: Path, make: Callable[[], JointSet]) -> JointSet:
    """The set stored at `path`, or else made now and stored there.

    Args:
        path: A local npz file. Its name must say all that the content depends on.
        make: Makes the set.

    Raises:
        BadInput: The file is damaged; the message names it.
    """
    if path.exists():
        return read_joint_set(path)
    joints = make()
    write_joint_set(path, joints)
    return joints


def write_joint_set(path: Path | UPath, joints: JointSet) -> None:
    """Store a set as an npz file, local or behind any fsspec URL; the name appears when the file is whole."""
    with atomic_write(path) as file:
        np.savez(file, **{name: getattr(joints, name) for name in joints.__dataclass_fields__})
    logger.info("joint_set_stored path=%s n=%d", path, len(joints))


def read_joint_set(path: Path | UPath) -> JointSet:
    """Read a set that `write_joint_set` stored.

    Raises:
        BadInput: The file is damaged or missing; the message names it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return JointSet(**{name: arrays[name] for name in JointSet.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: not a stored joint set ({error}); delete the file, it will be made again") from error
