"""Other joints by fine-tuning: from a network of left-hand joints to right hands, wrists and feet.

The thesis assumes that its model does as well on right hands, and on feet after fine-tuning. Here both are measured, on
synthetic joints: what the model makes of each limb before it has seen one, and after.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scoring.model_store.store import find_model
from scoring.model_store.stored_model import StoredModel
from scoring.phantom.difficulty import Difficulty
from scoring.phantom.registry import LIMB_JOINTS
from scoring.progress import Progress, no_progress
from scoring.training.candidate import TrainingData, check_version_is_free, evaluate_stored, train_candidate
from scoring.training.data import phantoms
from scoring.training.data.joint_set import JointSet, concatenate
from scoring.training.evaluation.evaluate import Evaluation
from scoring.training.fit import TrainingRecipe

SEED, TEST_SEED = 21, 7_021

# A trained network needs small steps: a tenth of those that trained it.
_SMALLER_STEPS = 0.1


@dataclass(frozen=True)
class LimbFigures:
    """How a model does on the joints of one limb, before and after it has learnt from such joints."""

    limb: str
    before: Evaluation
    after: Evaluation


def fine_tune(
    start: StoredModel,
    version: str,
    store_url: str,
    *,
    difficulty: Difficulty,
    n_patients: int,
    test_joints: int,
    epochs: int,
    cache_dir: Path | None = None,
    work_dir: Path | None = None,
    workers: int = 1,
    code_revision: str = "unknown",
    progress: Progress = no_progress,
) -> list[LimbFigures]:
    """Go on training a model on synthetic joints of several limbs, and store what comes of it as a new version.

    Left-hand joints are among the limbs, so that they are not forgotten, and the rare grades are enriched as in the
    first training, so that they are not either.

    Args:
        start: The trained model.
        version: Name of the new one; it must not exist yet.
        store_url: Model store to write to, any fsspec URL.
        difficulty: How hard the joints are to read.
        n_patients: Patients whose radiographs of each limb are learnt from (70 %) and chosen by (20 %).
        test_joints: Joints of each limb to evaluate on, of other patients.
        epochs: At most so many.
        cache_dir: Local folder that keeps the drawn joints.
        work_dir: Local folder for checkpoints, to resume a stopped training.
        workers: Processes that draw.
        code_revision: Goes into the manifest.
        progress: Called during drawing and training.

    Returns:
        Figures of each limb.

    Raises:
        InvalidRequest: The version exists, is no fit name, or the numbers make no training.
        TrainingDiverged: The loss became NaN.
        ModelRejected: The engines disagree about the new model.
    """
    check_version_is_free(version, store_url)
    drawing: dict[str, Any] = {
        "difficulty": difficulty,
        "cache_dir": cache_dir,
        "workers": workers,
        "progress": progress,
    }
    drawn = [
        phantoms.draw_phantoms(n_patients, SEED, enrich=phantoms.ENRICH, limb=limb, **drawing) for limb in LIMB_JOINTS
    ]
    parts = [phantoms.training_and_validation(data) for data in drawn]
    tests = {limb: phantoms.held_out(TEST_SEED, test_joints, limb=limb, **drawing) for limb in LIMB_JOINTS}
    before = {limb: _evaluated(start, test) for limb, test in tests.items()}
    recipe = TrainingRecipe.from_dict(start.manifest["recipe"])
    recipe = replace(recipe, epochs=epochs, learning_rate=recipe.learning_rate * _SMALLER_STEPS)
    train_candidate(
        version,
        recipe,
        TrainingData(
            training=concatenate([training for training, _ in parts]),
            validation=concatenate([validation for _, validation in parts]),
            test=concatenate(list(tests.values())),
            facts={
                "card": phantoms.DATA_CARD,
                "limbs": list(LIMB_JOINTS),
                "n_patients": n_patients,
                "seed": SEED,
                "enrich": phantoms.ENRICH,
                "enriched_above": phantoms.ENRICHED_ABOVE,
                "difficulty": difficulty.name,
                "phantom_revision": phantoms.phantom_revision(),
            },
            test_facts={"limbs": list(LIMB_JOINTS), "difficulty": difficulty.name, "prevalence": "the registry's"},
            synthetic=True,
            against=("reading", "truth"),
            prior_readings=np.concatenate([phantoms.prior_readings(data) for data in drawn]),
        ),
        store_url,
        start=start,
        work_dir=work_dir,
        code_revision=code_revision,
        progress=progress,
    )
    tuned = find_model(version, store_url)
    return [LimbFigures(limb, before[limb], _evaluated(tuned, test)) for limb, test in tests.items()]


def _evaluated(model: StoredModel, joints: JointSet) -> Evaluation:
    return evaluate_stored(model, joints, ("reading",))["reading"]
