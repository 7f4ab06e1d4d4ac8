"""Train, fine-tune and evaluate on synthetic phantoms: the steps behind the commands of these names."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scoring.errors import InvalidRequest
from scoring.model_store import store
from scoring.model_store.stored_model import StoredModel
from scoring.phantom.difficulty import PLAIN, difficulty_named
from scoring.phantom.patients import LIMB_JOINTS
from scoring.training.candidate import (
    TrainingData,
    check_recipe,
    check_version_is_free,
    predict_joints,
    train_candidate,
)
from scoring.training.data.joint_set import JointSet, concatenate, snapshot_sha256
from scoring.training.data.phantoms import ENRICH, TEST_JOINTS, TEST_SEED, PhantomSource
from scoring.training.evaluation.bootstrap import Against
from scoring.training.evaluation.evaluate import Evaluation, evaluate_predictions
from scoring.training.recipes import TrainingRecipe

logger = logging.getLogger(__name__)

LIMB_SEED, LIMB_TEST_SEED = 21, 7_021

# A trained network needs small steps: a tenth of the original ones.
_FINE_TUNING_RATE = 0.1


@dataclass(frozen=True)
class LimbFigures:
    """Evaluations of a model on the joints of one limb, before and after fine-tuning."""

    limb: str
    before: Evaluation
    after: Evaluation


def train_on_phantoms(
    version: str,
    recipe: TrainingRecipe,
    store_url: str,
    *,
    source: PhantomSource,
    n_patients: int,
    seed: int,
    test_joints: int = TEST_JOINTS,
    work_dir: Path | None = None,
    code_revision: str = "unknown",
) -> dict[str, Any]:
    """Draw phantoms, train a model as `train_candidate` does, and write it to the store.

    The training set is enriched, so that rare grades are learnt (see `PhantomData.split_for_training`). Validation and
    test set keep the registry's prevalence.

    The registry of `seed` has `n_patients` of about 50 joints each, split 70/20/10 by patient; `test_joints` are from
    the registry of `TEST_SEED`. The other parameters, and the result, are those of `train_candidate`.

    Raises:
        InvalidRequest: The version exists or is not a valid name, the seed is `TEST_SEED`, the recipe's models cannot
            score, or there are too few patients.
    """
    check_version_is_free(version, store_url)
    if seed == TEST_SEED:
        raise InvalidRequest(f"Seed {seed} is reserved for the held-out test patients. Use another seed.")
    check_recipe(recipe)
    # The drawn joints are not kept: thousands of patients take gigabytes, and the sets are copies.
    training, validation, prior_readings = source.draw(n_patients, seed, enrich=ENRICH).split_for_training()
    data = TrainingData(
        training=training,
        validation=validation,
        test=source.held_out(TEST_SEED, test_joints),
        facts=source.facts(n_patients, seed),
        test_facts={"seed": TEST_SEED, "difficulty": source.difficulty.name, "prevalence": "the registry's"},
        synthetic=True,
        prior_readings=prior_readings,
    )
    return train_candidate(
        version, recipe, data, store_url, work_dir=work_dir, code_revision=code_revision, progress=source.progress
    )


def fine_tune(
    start: StoredModel,
    version: str,
    store_url: str,
    *,
    source: PhantomSource,
    n_patients: int,
    test_joints: int,
    epochs: int,
    work_dir: Path | None = None,
    code_revision: str = "unknown",
) -> list[LimbFigures]:
    """Train a left-hand model further on synthetic joints of all limbs, and return figures of each limb.

    The thesis assumes that its model reads right hands equally well, and feet after fine-tuning; this measures both. To
    retain earlier skills, the training set includes left hands, and rare grades are enriched as in the first training.

    There are `n_patients` with radiographs of each limb, 70 % for training and 20 % for validation, and `test_joints`
    of each limb, of other patients. The other parameters are those of `train_on_phantoms`.

    Raises:
        InvalidRequest: The version exists or is not a valid name, or there are too few patients.
    """
    check_version_is_free(version, store_url)
    drawn = (source.draw(n_patients, LIMB_SEED, enrich=ENRICH, limb=limb) for limb in LIMB_JOINTS)
    training, validation, prior_readings = zip(*(data.split_for_training() for data in drawn), strict=True)
    tests = {limb: source.held_out(LIMB_TEST_SEED, test_joints, limb=limb) for limb in LIMB_JOINTS}
    before = {limb: _evaluate(start, test) for limb, test in tests.items()}
    recipe = TrainingRecipe.from_dict(start.manifest["recipe"])
    recipe = replace(recipe, epochs=epochs, learning_rate=recipe.learning_rate * _FINE_TUNING_RATE)
    limbs = list(LIMB_JOINTS)
    train_candidate(
        version,
        recipe,
        TrainingData(
            training=concatenate(training),
            validation=concatenate(validation),
            test=concatenate(list(tests.values())),
            facts={**source.facts(n_patients, LIMB_SEED), "limbs": limbs},
            test_facts={"limbs": limbs, "difficulty": source.difficulty.name, "prevalence": "the registry's"},
            synthetic=True,
            prior_readings=np.concatenate(prior_readings),
        ),
        store_url,
        start=start,
        work_dir=work_dir,
        code_revision=code_revision,
        progress=source.progress,
    )
    tuned = store.find_model(version, store_url)
    return [LimbFigures(limb, before[limb], _evaluate(tuned, test)) for limb, test in tests.items()]


def evaluate_on_phantoms(
    version: str, store_url: str, *, source: PhantomSource, n_joints: int | None = None, against: Against = "reading"
) -> Evaluation:
    """Evaluate a stored model, or the shipped one, on held-out phantoms of left hands.

    The difficulty is that of the model's own test set. Without `n_joints`, the test set and the figures are those of
    the manifest.

    Raises:
        ModelRejected: There is no such model, or its files were changed.
        InvalidRequest: The model was trained on the test seed or on a site's own readings, or its test set had other
            limbs than left hands and no number of joints is given.
    """
    model = store.find_model(version, store_url)
    if not model.manifest.get("trained_on_synthetic", True):
        raise InvalidRequest(
            f"Model {version} was trained on a site's own readings; phantoms say nothing about it. Run `scoring card "
            f"--version {version}` for the results in its manifest."
        )
    stated = model.manifest.get("test_set", {})
    if stated and "seed" not in stated and n_joints is None:
        raise InvalidRequest(
            f"The test set of {version} had other limbs than left hands, so its results cannot be reproduced here. Run "
            f"`scoring card --version {version}` to see them, or use --joints to evaluate it on new left hands."
        )
    seed = int(stated.get("seed", TEST_SEED))
    n_joints = int(stated.get("n_joints", TEST_JOINTS)) if n_joints is None else n_joints
    if seed == model.manifest.get("data", {}).get("seed"):
        raise InvalidRequest(f"Model {version} was trained on the test patients (seed {seed}). Evaluate another model.")
    # Models from before difficulties existed were tested on plain phantoms.
    source = replace(source, difficulty=difficulty_named(stated.get("difficulty", PLAIN.name)))
    test = source.held_out(seed, n_joints)
    if (seed, n_joints) == (stated.get("seed"), stated.get("n_joints")):
        drawn, expected = snapshot_sha256(test)[:12], stated["snapshot_sha256"][:12]
        if drawn != expected:
            # The drawing code or its libraries changed since the training, so the figures differ from the manifest.
            logger.warning("test_set_differs version=%s drawn=%s stated=%s", version, drawn, expected)
    return _evaluate(model, test, against)


def _evaluate(model: StoredModel, joints: JointSet, against: Against = "reading") -> Evaluation:
    return evaluate_predictions(predict_joints(model, joints), joints, against=against)
