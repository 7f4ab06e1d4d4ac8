"""Train and evaluate on synthetic phantoms: the public steps behind `scoring train` and `scoring evaluate`."""

import hashlib
import json
import logging
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scoring.errors import InvalidRequest
from scoring.imaging import decode, preprocess
from scoring.phantom import (
    anatomy,
    confounders,
    erosion,
    implants,
    radiograph,
    raster,
    readers,
    registry,
    seeds,
    training_set,
)
from scoring.phantom import difficulty as difficulties
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.registry import LIMB_JOINTS, Limb
from scoring.progress import Progress, no_progress
from scoring.training.data.joint_set import JointSet, cached, parts_of

logger = logging.getLogger(__name__)

DATA_CARD = (
    "Synthetic joint images drawn by scoring.phantom from one seed: erosions of known size, readings with a reader's"
    " error on a 5 % grid, as hard to read as the difficulty says. No image and no reading comes from a patient."
)

# The held-out registry is another registry, so none of its patients was seen in training.
TEST_SEED = 7_001
TEST_JOINTS = 10_000

# About one radiograph in eight of a phantom registry is not read, so more joints are drawn than are asked for. A patient has
# about five radiographs of a limb; counting on half of them leaves radiographs to choose from.
_UNREAD_SHARE, _UNREAD_EXTRA = 1.25, 100
_RADIOGRAPHS_A_PATIENT = 2.5

ENRICH = 0.3
"""Share of the joints to learn from whose erosion is drawn evenly from 0 to 100 %."""

# Erosion in per cent above which joints are enriched: the rare grades, 2 to 5.
ENRICHED_ABOVE = 20.0


@dataclass(frozen=True)
class PhantomData:
    """The joints of a phantom registry that were read, and which of them do not follow the registry's prevalence."""

    joints: JointSet
    enriched: np.ndarray[Any, np.dtype[np.bool_]]


def draw_phantoms(
    n_patients: int,
    seed: int,
    *,
    enrich: float = 0.0,
    difficulty: Difficulty = PLAIN,
    limb: Limb = "hand_left",
    max_images: int | None = None,
    cache_dir: Path | None = None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> PhantomData:
    """The joints of a phantom registry that were read, drawn now or taken from the cache."""

    def make() -> JointSet:
        drawn = training_set.make_training_set(
            n_patients,
            seed,
            max_images=max_images,
            workers=workers,
            enrich=enrich,
            difficulty=difficulty,
            limb=limb,
            progress=progress,
        )
        read = ~np.isnan(drawn.erosion_read)
        # The cache holds one kind of thing; whether a joint was enriched travels in its name.
        names = np.char.add(drawn.joint, np.where(drawn.enriched, "+enriched", ""))
        return JointSet(
            images=drawn.images[read],
            reading=drawn.erosion_read[read].astype(np.float32),
            truth=drawn.erosion_true[read].astype(np.float32),
            patient_id=drawn.patient_id[read],
            joint=names[read],
            sop_iuid=drawn.sop_iuid[read],
            year=drawn.year[read],
        )

    if cache_dir is None:
        joints = make()
    else:
        # By all of its numbers, not by its name alone: one of them may have been replaced.
        hard = hashlib.sha256(json.dumps(asdict(difficulty), sort_keys=True).encode()).hexdigest()[:8]
        key = f"{limb}-{difficulty.name}-{hard}-{n_patients}-{seed}-{enrich}-{max_images}-{phantom_revision()}"
        joints = cached(cache_dir / f"phantoms-{key}.npz", make)
    enriched = np.char.endswith(joints.joint, "+enriched")
    return PhantomData(replace(joints, joint=np.char.replace(joints.joint, "+enriched", "")), enriched)


def training_and_validation(data: PhantomData) -> tuple[JointSet, JointSet]:
    """The joints to learn from, and those to choose the best epoch by: other patients, at the registry's prevalence.

    Of the enriched joints only the badly eroded ones are learnt from. Among intact and slightly eroded joints the
    registry's proportions hold: what is expected of a joint without a visible erosion depends on them, and it lies near
    the 1 % at which grade 1 begins.
    """
    part = parts_of(data.joints)
    learnt = (part == "train") & (~data.enriched | (data.joints.truth > ENRICHED_ABOVE))
    return data.joints.take(learnt), data.joints.take((part == "validation") & ~data.enriched)


def prior_readings(data: PhantomData) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Readings of the patients that are learnt from, at the registry's prevalence, per cent."""
    return np.asarray(data.joints.reading[(parts_of(data.joints) == "train") & ~data.enriched])


def held_out(
    seed: int,
    n_joints: int,
    *,
    difficulty: Difficulty = PLAIN,
    limb: Limb = "hand_left",
    cache_dir: Path | None = None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> JointSet:
    """Read joints of one limb in a registry of its own, radiographs chosen at random, at the registry's prevalence."""
    to_draw = int(n_joints * _UNREAD_SHARE) + _UNREAD_EXTRA
    n_patients = math.ceil(to_draw / (_RADIOGRAPHS_A_PATIENT * len(LIMB_JOINTS[limb])))
    data = draw_phantoms(
        n_patients,
        seed,
        difficulty=difficulty,
        limb=limb,
        max_images=to_draw,
        cache_dir=cache_dir,
        workers=workers,
        progress=progress,
    )
    if len(data.joints) < n_joints:
        raise InvalidRequest(f"the registry of seed {seed} has only {len(data.joints)} read joints, not {n_joints}")
    return data.joints.take(np.arange(n_joints))


def phantom_revision() -> str:
    """A short hash of all code that a phantom's pixels and readings depend on."""
    digest = hashlib.sha256()
    drawing = (anatomy, confounders, difficulties, erosion, implants, radiograph, raster, readers, registry, seeds)
    for module in (decode, preprocess, *drawing, training_set):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]
