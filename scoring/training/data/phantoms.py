"""Joint sets drawn from synthetic registries, kept in a cache."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidRequest
from scoring.imaging import decode, preprocess
from scoring.phantom import training_set
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.patients import LIMB_JOINTS, Limb
from scoring.progress import Progress, no_progress
from scoring.training.data.joint_set import JointSet, parts_of, read_joint_set, write_joint_set

DATA_CARD = (
    "Synthetic joint images drawn by scoring.phantom from one seed, with erosions of known size and simulated readings,"
    " including reading error, on a 5 % grid. The difficulty sets how hard they are to read. No image and no reading is"
    " from a patient."
)

# The held-out registry has another seed than any training registry, so the patients differ.
TEST_SEED = 7_001
TEST_JOINTS = 10_000

ENRICH = 0.3
"""Share of the drawn joints with an erosion drawn uniformly from 0 to 100 %."""

ENRICHED_ABOVE = 20.0
"""Erosion in percent above which joints are enriched: the rare grades, 2 to 5."""

# About one radiograph in eight of a synthetic registry is not read, so more joints are drawn than requested. A patient
# has about five radiographs of a limb; counting on half of them leaves a choice.
_UNREAD_SHARE, _UNREAD_EXTRA = 1.25, 100
_RADIOGRAPHS_PER_PATIENT = 2.5

_ENRICHED_SUFFIX = "+enriched"

# Modules of scoring.phantom that pixels and readings do not depend on.
_NOT_DRAWING = frozenset({"batch_folder.py", "batches.py", "faults.py", "longitudinal.py"})


@dataclass(frozen=True)
class PhantomData:
    """The read joints of a synthetic registry; `enriched`, `(n,)`, is True for those that are not at its prevalence."""

    joints: JointSet
    enriched: NDArray[np.bool_]

    def split_for_training(self) -> tuple[JointSet, JointSet, NDArray[np.float32]]:
        """Return the training set, the validation set, and the training patients' readings at natural prevalence.

        The validation set is at natural prevalence. The training set keeps only the severely eroded of the enriched
        joints. Intact and slightly eroded joints keep their natural proportions, because these decide the prediction
        for joints without a visible erosion, which is close to 1 %, where grade 1 begins.
        """
        part = parts_of(self.joints)
        in_training, natural = part == "train", ~self.enriched
        training = self.joints.take(in_training & (natural | (self.joints.truth > ENRICHED_ABOVE)))
        validation = self.joints.take((part == "validation") & natural)
        return training, validation, self.joints.reading[in_training & natural]


@dataclass(frozen=True)
class PhantomSource:
    """Draws joints of synthetic registries with `workers` processes, or reads them from a local cache (optional)."""

    difficulty: Difficulty = PLAIN
    cache_dir: Path | None = None
    workers: int = 1
    progress: Progress = no_progress

    def draw(
        self,
        n_patients: int,
        seed: int,
        *,
        enrich: float = 0.0,
        limb: Limb = "hand_left",
        max_images: int | None = None,
    ) -> PhantomData:
        """Return the read joints of the registry of `seed`; the parameters are those of `make_training_set`."""
        # The name of a difficulty is not enough: one of its numbers may have been replaced.
        numbers = hashlib.sha256(json.dumps(asdict(self.difficulty), sort_keys=True).encode()).hexdigest()[:8]
        key = f"{limb}-{self.difficulty.name}-{numbers}-{n_patients}-{seed}-{enrich}-{max_images}-{phantom_revision()}"
        path = None if self.cache_dir is None else self.cache_dir / f"phantoms-{key}.npz"
        if path is not None and path.exists():
            joints = read_joint_set(path)
        else:
            drawn = training_set.make_training_set(
                n_patients,
                seed,
                max_images=max_images,
                workers=self.workers,
                enrich=enrich,
                difficulty=self.difficulty,
                limb=limb,
                progress=self.progress,
            )
            joints = _read_joints(drawn)
            if path is not None:
                write_joint_set(path, joints)
        enriched = np.char.endswith(joints.joint, _ENRICHED_SUFFIX)
        return PhantomData(replace(joints, joint=np.char.replace(joints.joint, _ENRICHED_SUFFIX, "")), enriched)

    def held_out(self, seed: int, n_joints: int, *, limb: Limb = "hand_left") -> JointSet:
        """Return read joints of randomly chosen radiographs of the registry of `seed`, at its prevalence.

        Raises:
            InvalidRequest: The registry has too few read joints.
        """
        to_draw = int(n_joints * _UNREAD_SHARE) + _UNREAD_EXTRA
        n_patients = math.ceil(to_draw / (_RADIOGRAPHS_PER_PATIENT * len(LIMB_JOINTS[limb])))
        joints = self.draw(n_patients, seed, limb=limb, max_images=to_draw).joints
        if len(joints) < n_joints:
            raise InvalidRequest(
                f"The registry of seed {seed} has only {len(joints)} read joints; {n_joints} are needed. Use another "
                "seed or fewer joints."
            )
        return joints.take(np.arange(n_joints))

    def facts(self, n_patients: int, seed: int) -> dict[str, Any]:
        """Return the entries of a manifest's `data` for an enriched registry of this source."""
        return {
            "card": DATA_CARD,
            "n_patients": n_patients,
            "seed": seed,
            "enrich": ENRICH,
            "enriched_above": ENRICHED_ABOVE,
            "difficulty": self.difficulty.name,
            "phantom_revision": phantom_revision(),
        }


def phantom_revision() -> str:
    """Return a short hash of all code that the pixels and readings of a phantom depend on."""
    drawing = [path for path in Path(training_set.__file__).parent.glob("*.py") if path.name not in _NOT_DRAWING]
    files = [Path(decode.__file__), Path(preprocess.__file__), *sorted(drawing)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def _read_joints(drawn: training_set.TrainingSet) -> JointSet:
    """Return the read joints; the names of enriched ones get a suffix, because the cache holds plain joint sets."""
    read = ~np.isnan(drawn.erosion_read)
    same = {name: getattr(drawn, name)[read] for name in ("images", "patient_id", "sop_iuid", "year")}
    return JointSet(
        reading=drawn.erosion_read[read].astype(np.float32),
        truth=drawn.erosion_true[read].astype(np.float32),
        joint=np.char.add(drawn.joint, np.where(drawn.enriched, _ENRICHED_SUFFIX, ""))[read],
        **same,
    )
