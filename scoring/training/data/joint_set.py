"""Sets of read joints as arrays: split by patient, stored, and identified by a hash of their content."""

import hashlib
import logging
import zipfile
from collections.abc import Sequence
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

# 70/20/10 percent of the patients.
_TRAIN_BELOW, _VALIDATION_BELOW = 0.70, 0.90


@dataclass(frozen=True)
class JointSet:
    """A set of n read joints.

    Attributes:
        images: uint8 `(n, side, side)`, as preprocessing returns them.
        reading: Erosion as read, in percent, float32 `(n,)`; the target of training and evaluation.
        truth: True erosion in percent, float32 `(n,)`; known for phantoms only, else NaN.
        patient_id: Strings `(n,)`; decide the split.
        joint: Strings `(n,)`, column names of the registry.
        sop_iuid: Strings `(n,)`, the radiograph; the joints of one radiograph make up its Rau score.
        year: int64 `(n,)`, the year of the radiograph.
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
            raise ValueError(f"The arrays of a joint set must have the same length, not {lengths}.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def grades(self) -> NDArray[np.int64]:
        """Ratingen grades of the readings."""
        return np.asarray(ratingen.grade(self.reading), dtype=np.int64)

    @property
    def truth_known(self) -> bool:
        """True if the true erosion of every joint is known."""
        return not np.isnan(self.truth).any()

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "JointSet":
        """Return the chosen joints as a new set."""
        return JointSet(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})


def concatenate(parts: Sequence[JointSet]) -> JointSet:
    """Join one or more sets, in their order."""
    return JointSet(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in JointSet.__dataclass_fields__}
    )


def split_of(patient_id: str) -> SplitName:
    """Return the part of the data that a patient always belongs to; "00123" and "123" are two patients.

    The first 8 bytes of sha256(patient_id), read as a fraction of 1: below .70 train, below .90 validation, else test.
    As it depends on nothing else, patients never move when the data grow, and all joints of a patient stay together.
    """
    fraction = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8], "big") / 2**64
    if fraction < _TRAIN_BELOW:
        return "train"
    return "validation" if fraction < _VALIDATION_BELOW else "test"


def parts_of(joints: JointSet) -> NDArray[np.str_]:
    """Return the part of each joint, by `split_of` its patient, `(n,)`."""
    patients, index = np.unique(joints.patient_id, return_inverse=True)
    return np.array([split_of(str(patient)) for patient in patients], dtype=np.str_)[index]


def split(joints: JointSet) -> dict[SplitName, JointSet]:
    """Return the three parts of a set."""
    part = parts_of(joints)
    return {name: joints.take(part == name) for name in SPLITS}


def snapshot_sha256(joints: JointSet) -> str:
    """Return a hash of everything in the set, so that a manifest can state exactly what a model was trained on.

    It depends on the order of the joints, which decides which of them share a batch.
    """
    digest = hashlib.sha256()
    for values in (joints.images, joints.reading, joints.truth, joints.year):
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    for names in (joints.patient_id, joints.joint, joints.sop_iuid):
        digest.update("\n".join(map(str, names)).encode())
    return digest.hexdigest()


def write_joint_set(path: Path | UPath, joints: JointSet) -> None:
    """Store a set as an npz file, local or on any fsspec URL."""
    with atomic_write(path) as file:
        np.savez(file, **{name: getattr(joints, name) for name in joints.__dataclass_fields__})
    logger.info("joint_set_stored path=%s n=%d", path, len(joints))


def read_joint_set(path: Path | UPath) -> JointSet:
    """Read a stored set, or raise BadInput if the file is damaged or missing."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return JointSet(**{name: arrays[name] for name in JointSet.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is not a stored joint set ({error}). Delete the file and run again.") from error
