"""Train and evaluate on synthetic phantoms: the public steps behind `scoring train` and `scoring evaluate`."""

import hashlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scoring.errors import InvalidRequest
from scoring.imaging import decode, preprocess
from scoring.networks.stored import StoredModel
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
from scoring.phantom.difficulty import PLAIN, Difficulty, difficulty_named
from scoring.phantom.registry import LIMB_JOINTS, Limb
from scoring.training import store
from scoring.training.candidate import (
    TrainingData,
    evaluate_stored,
    refuse_taken_version,
    refuse_unfit_recipe,
    train_candidate,
)
from scoring.training.dataset import JointSet, cached, parts_of, snapshot_sha256
from scoring.training.evaluate import Evaluation
from scoring.training.fit import Epoch, TrainingRecipe
from scoring.training.resampling import Against

logger = logging.getLogger(__name__)

DATA_CARD = (
    "Synthetic joint images drawn by scoring.phantom from one seed: erosions of known size, readings with a reader's"
    " error on a 5 % grid, as hard to read as the difficulty says. No image and no reading comes from a patient."
)

# The held-out registry is another registry, so none of its patients was seen in training.
TEST_SEED = 7_001
TEST_JOINTS = 10_000

# About one film in eight of a phantom registry is not read, so more joints are drawn than are asked for. A patient has
# about five films of a limb; counting on half of them leaves films to choose from.
_UNREAD_SHARE, _UNREAD_EXTRA = 1.25, 100
_FILMS_A_PATIENT = 2.5

ENRICH = 0.3
"""Share of the joints to learn from whose erosion is drawn evenly from 0 to 100 %."""

# Erosion in per cent above which joints are enriched: the rare grades, 2 to 5.
ENRICHED_ABOVE = 20.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PhantomData:
    """The joints of a phantom registry that were read, and which of them do not follow the registry's prevalence."""

    joints: JointSet
    enriched: np.ndarray[Any, np.dtype[np.bool_]]


def train_on_phantoms(
    n_patients: int,
    seed: int,
    epochs: int,
    out_store_url: str,
    version: str,
    *,
    enrich: float = ENRICH,
    difficulty: Difficulty = PLAIN,
    recipe: TrainingRecipe | None = None,
    test_seed: int = TEST_SEED,
    test_joints: int = TEST_JOINTS,
    cache_dir: Path | None = None,
    work_dir: Path | None = None,
    workers: int = 1,
    code_revision: str = "unknown",
    on_draw: Progress | None = None,
    on_step: Progress | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> dict[str, Any]:
    """Draw phantoms, train, export, prove that the engines agree, evaluate on held-out phantoms, store.

    Args:
        n_patients: Patients of the registry to learn from, about 50 joints each; split 70/20/10 by patient.
        seed: Of that registry and, unless a recipe says otherwise, of the training.
        epochs: At most so many.
        out_store_url: Model store to write to, any fsspec URL.
        version: Name of the new model; it must not exist yet.
        enrich: Share of the training joints whose erosion is drawn evenly from 0 to 100 %, so that the rare grades are
            learnt; those that turn out below `ENRICHED_ABOVE` are left out. Validation and test keep the registry's
            prevalence.
        difficulty: How hard the joints are to read, those of the test too.
        recipe: Default: `TrainingRecipe()` with this seed and these epochs.
        test_seed: Seed of the held-out registry.
        test_joints: Joints to evaluate on, taken from the held-out registry at its own prevalence.
        cache_dir: Local folder that keeps the drawn joints for the next run; None keeps nothing.
        work_dir: Local folder for checkpoints, to resume a stopped training; None keeps nothing.
        workers: Processes that draw.
        code_revision: Goes into the manifest.
        on_draw: Called with joints drawn and joints in all.
        on_step: Called with steps trained and steps in all.
        on_epoch: Called after each epoch.

    Returns:
        The manifest, as it stands in the store.

    Raises:
        InvalidRequest: The version exists or is no fit name, or the numbers make no training.
        TrainingDiverged: The loss became NaN.
        ModelRefused: The engines disagree.
    """
    refuse_taken_version(version, out_store_url)
    if test_seed == seed:
        raise InvalidRequest(
            f"test_seed and seed are both {seed}: the held-out patients would be those of the training"
        )
    recipe = replace(recipe or TrainingRecipe(seed=seed), epochs=epochs)
    refuse_unfit_recipe(recipe)
    drawing: dict[str, Any] = {
        "difficulty": difficulty,
        "cache_dir": cache_dir,
        "workers": workers,
        "on_draw": on_draw,
    }
    drawn = draw_phantoms(n_patients, seed, enrich=enrich, **drawing)
    learning, choosing = training_and_validation(drawn)
    readings_as_they_occur = occurring(drawn)
    # Thousands of patients are gigabytes, and what is learnt from is a copy of its own.
    del drawn
    data = TrainingData(
        learning=learning,
        choosing=choosing,
        test=held_out(test_seed, test_joints, **drawing),
        facts={
            "card": DATA_CARD,
            "n_patients": n_patients,
            "seed": seed,
            "enrich": enrich,
            "enriched_above": ENRICHED_ABOVE,
            "difficulty": difficulty.name,
            "phantom_revision": phantom_revision(),
        },
        test_facts={"seed": test_seed, "difficulty": difficulty.name, "prevalence": "the registry's"},
        synthetic=True,
        against=("reading", "truth"),
        occurring=readings_as_they_occur,
    )
    return train_candidate(
        version,
        recipe,
        data,
        out_store_url,
        work_dir=work_dir,
        code_revision=code_revision,
        on_step=on_step,
        on_epoch=on_epoch,
    )


def evaluate_on_phantoms(
    version: str,
    store_url: str,
    *,
    seed: int | None = None,
    n_joints: int | None = None,
    against: Against = "reading",
    cache_dir: Path | None = None,
    workers: int = 1,
    on_draw: Progress | None = None,
) -> Evaluation:
    """Evaluate a stored model on held-out phantoms of left hands; nothing is written but the cache.

    Without `seed` and `n_joints` the test set is that of the manifest, and the figures are those of the manifest.

    Args:
        version: Model in the store, or the shipped one.
        store_url: The model store.
        seed: Seed of the held-out registry; it must not be the one of the training.
        n_joints: Joints to evaluate on.
        against: The registry's readings, or the phantom's truth.
        cache_dir: Local folder that keeps the drawn joints.
        workers: Processes that draw.
        on_draw: Called with joints drawn and joints in all.

    Raises:
        ModelRefused: No such model, or its files were changed.
        InvalidRequest: The seed is the one that the model was trained on, phantoms say nothing about the model, or its
            test set was none of left hands alone and no number of joints is given.
    """
    model = store.find_model(version, store_url)
    if not model.manifest.get("trained_on_synthetic", True):
        raise InvalidRequest(
            f"model {version} was trained on a site's own readings, and phantoms say nothing about it: `scoring card"
            f" --version {version}` takes the figures of its manifest"
        )
    stated = model.manifest.get("test_set", {})
    if stated and "seed" not in stated and n_joints is None:
        raise InvalidRequest(
            f"the test set of {version} was not one of left hands alone, so its figures cannot be made again here: they"
            f" stand in its manifest and card; name a number of joints to evaluate it on other phantoms, of left hands"
        )
    seed = int(stated.get("seed", TEST_SEED)) if seed is None else seed
    n_joints = int(stated.get("n_joints", TEST_JOINTS)) if n_joints is None else n_joints
    if seed == model.manifest.get("data", {}).get("seed"):
        raise InvalidRequest(f"model {version} was trained on the phantoms of seed {seed}; evaluate it on another seed")
    # A model from before there were difficulties was tried on plain phantoms.
    difficulty = difficulty_named(stated.get("difficulty", PLAIN.name))
    test = held_out(seed, n_joints, difficulty=difficulty, cache_dir=cache_dir, workers=workers, on_draw=on_draw)
    if (seed, n_joints) == (stated.get("seed"), stated.get("n_joints")):
        _warn_if_drawn_otherwise(model, test)
    return evaluate_stored(model, test, (against,))[against]


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
    on_draw: Progress | None = None,
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
            progress=on_draw,
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


def occurring(data: PhantomData) -> np.ndarray[Any, np.dtype[np.float32]]:
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
    on_draw: Progress | None = None,
) -> JointSet:
    """Read joints of one limb in a registry of its own, films chosen at random, at the registry's prevalence."""
    to_draw = int(n_joints * _UNREAD_SHARE) + _UNREAD_EXTRA
    n_patients = math.ceil(to_draw / (_FILMS_A_PATIENT * len(LIMB_JOINTS[limb])))
    data = draw_phantoms(
        n_patients,
        seed,
        difficulty=difficulty,
        limb=limb,
        max_images=to_draw,
        cache_dir=cache_dir,
        workers=workers,
        on_draw=on_draw,
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


def _warn_if_drawn_otherwise(model: StoredModel, test: JointSet) -> None:
    stated = model.manifest["test_set"]["snapshot_sha256"]
    if (drawn := snapshot_sha256(test)) != stated:
        logger.warning(
            "test_set_differs version=%s drawn=%s stated=%s: the drawing code or its libraries changed since the model"
            " was trained, so the figures differ from its manifest",
            model.version,
            drawn[:12],
            stated[:12],
        )
