"""Train and evaluate on synthetic phantoms: the steps behind `scoring train` and `scoring evaluate`."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scoring.errors import InvalidRequest
from scoring.model_store import store
from scoring.model_store.stored_model import StoredModel
from scoring.phantom.difficulty import PLAIN, Difficulty, difficulty_named
from scoring.progress import Progress, no_progress
from scoring.training.candidate import (
    TrainingData,
    check_recipe,
    check_version_is_free,
    evaluate_stored,
    train_candidate,
)
from scoring.training.data.joint_set import JointSet, snapshot_sha256
from scoring.training.data.phantoms import (
    DATA_CARD,
    ENRICH,
    ENRICHED_ABOVE,
    TEST_JOINTS,
    TEST_SEED,
    draw_phantoms,
    held_out,
    phantom_revision,
    prior_readings,
    training_and_validation,
)
from scoring.training.evaluation.bootstrap import Against
from scoring.training.evaluation.evaluate import Evaluation
from scoring.training.fit import Epoch, TrainingRecipe

logger = logging.getLogger(__name__)


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
    progress: Progress = no_progress,
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
        progress: Called during drawing and training.
        on_epoch: Called after each epoch.

    Returns:
        The manifest, as it stands in the store.

    Raises:
        InvalidRequest: The version exists or is no fit name, or the numbers make no training.
        TrainingDiverged: The loss became NaN.
        ModelRejected: The engines disagree.
    """
    check_version_is_free(version, out_store_url)
    if test_seed == seed:
        raise InvalidRequest(
            f"test_seed and seed are both {seed}: the held-out patients would be those of the training"
        )
    recipe = replace(recipe or TrainingRecipe(seed=seed), epochs=epochs)
    check_recipe(recipe)
    drawing: dict[str, Any] = {
        "difficulty": difficulty,
        "cache_dir": cache_dir,
        "workers": workers,
        "progress": progress,
    }
    drawn = draw_phantoms(n_patients, seed, enrich=enrich, **drawing)
    training, validation = training_and_validation(drawn)
    readings_as_they_occur = prior_readings(drawn)
    # Thousands of patients are gigabytes, and what is learnt from is a copy of its own.
    del drawn
    data = TrainingData(
        training=training,
        validation=validation,
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
        prior_readings=readings_as_they_occur,
    )
    return train_candidate(
        version,
        recipe,
        data,
        out_store_url,
        work_dir=work_dir,
        code_revision=code_revision,
        progress=progress,
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
    progress: Progress = no_progress,
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
        progress: Called during drawing.

    Raises:
        ModelRejected: No such model, or its files were changed.
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
    test = held_out(seed, n_joints, difficulty=difficulty, cache_dir=cache_dir, workers=workers, progress=progress)
    if (seed, n_joints) == (stated.get("seed"), stated.get("n_joints")):
        _warn_if_drawn_otherwise(model, test)
    return evaluate_stored(model, test, (against,))[against]


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
