"""Comparison of recipes on the same synthetic joints, with the same number of epochs.

Three named sets are drawn on demand and cached: `phantom-train` and `phantom-validation` are patients of one synthetic
registry, split by `joint_set.split_of`; `phantom-test` is from a registry with another seed. Everything that is tuned
(best epoch, number of neighbours, grade weights, interval level) is tuned on `phantom-validation`. Predictions are
cached too, so that a stopped benchmark resumes.
"""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.model_store.stored_model import StoredModel
from scoring.networks.readout import ReadOutRule
from scoring.phantom.difficulty import LIFELIKE
from scoring.progress import Progress, no_progress
from scoring.storage import atomic_write
from scoring.training.benchmark import combinations
from scoring.training.benchmark.combinations import Cdf
from scoring.training.candidate import predict_joints
from scoring.training.data.joint_set import JointSet, snapshot_sha256, split
from scoring.training.data.phantoms import PhantomSource
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.evaluation.evaluate import Difference, Evaluation, difference_interval, evaluate_predictions
from scoring.training.fit import predict, train
from scoring.training.recipes import BEST, TrainingRecipe, is_transfer, recipe_named

TRAINING_SEED, TEST_SEED = 11, 7_011

NEIGHBOURS = (11, 31, 51, 91)
"""Numbers of neighbours to choose from; 51 to 91 were best in the thesis."""

WITH_NEIGHBOURS = frozenset({"classification-weighted", "regression-plain", "inception-regression"})
"""Recipes of the thesis that are also evaluated by the neighbours of their embeddings (section 4.6.1)."""

COMPARED = ("class_normalized_accuracy", "quadratic_weighted_kappa")


@dataclass(frozen=True)
class BenchmarkSets:
    """The sets `phantom-train`, `phantom-validation` and `phantom-test`."""

    train: JointSet
    validation: JointSet
    test: JointSet

    @property
    def sha256(self) -> str:
        """A hash of the content of all three."""
        parts = (self.train, self.validation, self.test)
        return hashlib.sha256("".join(map(snapshot_sha256, parts)).encode()).hexdigest()


@dataclass(frozen=True)
class ComparedModel:
    """The predictions of a model for the validation and the test set, its read-out rule, and its training time.

    The time is that of the last session if the training was resumed, and NaN for a stored model.
    """

    name: str
    validation: Cdf
    test: Cdf
    rule: ReadOutRule
    seconds: float

    def validation_score(self, validation: JointSet) -> float:
        """Return `accuracy_and_kappa` on the validation set."""
        return metrics.evaluate(self.validation, validation.reading, self.rule)["accuracy_and_kappa"]

    def derived(self, name: str, validation: Cdf, test: Cdf, sets: BenchmarkSets) -> "ComparedModel":
        """Return a model with other predictions, calibrated on the validation set."""
        rule = calibrated_rule(validation, sets.validation.reading)
        return replace(self, name=name, validation=validation, test=test, rule=rule)


@dataclass(frozen=True)
class ComparisonRow:
    """A model, its evaluation on `phantom-test`, and the lead of the reference model over it, by measure.

    The lead has paired 95 % intervals; it is empty for the reference itself.
    """

    model: ComparedModel
    evaluation: Evaluation
    lead: dict[str, Difference]


def phantom_sets(n_patients: int, test_joints: int, source: PhantomSource) -> BenchmarkSets:
    """Draw the named sets, or read them from the cache.

    The registry of `phantom-train` (70 % of the patients) and `phantom-validation` (20 %) has about 50 joints per
    patient; `phantom-test` has the registry's prevalence. The difficulty is always `lifelike`.
    """
    source = replace(source, difficulty=LIFELIKE)
    parts = split(source.draw(n_patients, TRAINING_SEED).joints)
    return BenchmarkSets(parts["train"], parts["validation"], source.held_out(TEST_SEED, test_joints))


def compare_recipes(
    names: Sequence[str],
    sets: BenchmarkSets,
    *,
    epochs: int,
    seed: int,
    shrink: int,
    folder: Path,
    inception_weights: str | None = None,
    progress: Progress = no_progress,
) -> list[ComparedModel]:
    """Train every recipe on the same sets with the same number of epochs, unless the folder has its predictions.

    Every network sees the image averaged over squares of side `shrink`: 2 takes a quarter of the arithmetic, 1 leaves
    it to the recipe. The local folder keeps predictions and checkpoints, which are named by recipe and data. Delete it
    after a change of the training code.

    Returns:
        The recipes in the order given, each followed by the models derived from it: `WITH_NEIGHBOURS` by neighbours,
        `BEST` by the mean of its predictions for each image and its mirror image. Last, `BEST` adapted to the other
        joints of the radiograph.
    """
    models = []
    for name in names:
        recipe = shrunk(recipe_named(name, seed=seed, epochs=epochs, inception_weights=inception_weights), shrink)
        models += _predictions(name, recipe, sets, folder, progress)
    return models + [_with_radiograph(model, sets) for model in models if model.name == BEST]


def stored_model_variants(stored: StoredModel, sets: BenchmarkSets) -> list[ComparedModel]:
    """Return a stored model, which was trained on other data, as it is and recalibrated on `phantom-validation`."""
    validation, test = (predict_joints(stored, part).cdf for part in (sets.validation, sets.test))
    model = ComparedModel(f"{stored.version}, as stored", validation, test, stored.rule, math.nan)
    variants = [model]
    for name, calibration in (("tempered", combinations.Temperature), ("isotonic", combinations.Isotonic)):
        calibrate = calibration(validation, sets.validation.reading)
        variants.append(model.derived(f"{stored.version}, {name}", calibrate(validation), calibrate(test), sets))
    return variants


def shrunk(recipe: TrainingRecipe, shrink: int) -> TrainingRecipe:
    """Return the recipe for an image that is averaged over squares of side `shrink` first."""
    if shrink == 1:
        return recipe
    if is_transfer(recipe):
        # InceptionV3 needs at least 75 pixels.
        seen_side = max(75, recipe.arguments["side"] // shrink)
        return replace(recipe, arguments={**recipe.arguments, "seen_side": seen_side})
    return replace(recipe, arguments={**recipe.arguments, "shrink": shrink})


def evaluate_models(
    models: Sequence[ComparedModel], sets: BenchmarkSets, *, reference: ComparedModel | None = None
) -> list[ComparisonRow]:
    """Evaluate every model on `phantom-test`, and compare it with the reference on the same resamples of patients.

    By default, the reference is the model with the highest `accuracy_and_kappa` on `phantom-validation`.
    """
    reference = reference or max(models, key=lambda model: model.validation_score(sets.validation))
    best = Predictions(reference.test, reference.rule)
    rows = []
    for model in models:
        predictions = Predictions(model.test, model.rule)
        lead = {} if model is reference else difference_interval(best, predictions, sets.test, measures=COMPARED)
        rows.append(ComparisonRow(model, evaluate_predictions(predictions, sets.test), lead))
    return rows


def _predictions(
    name: str, recipe: TrainingRecipe, sets: BenchmarkSets, folder: Path, progress: Progress
) -> list[ComparedModel]:
    """Return the models that the recipe's network makes, trained now or from the folder."""
    key = hashlib.sha256((json.dumps(asdict(recipe), sort_keys=True) + sets.sha256).encode()).hexdigest()[:16]
    path = folder / f"{name}-{key}.npz"
    if not path.exists():
        models = _train(name, recipe, sets, folder / f"{name}-{key}", progress)
        cdfs = {f"{part}:{model.name}": getattr(model, part) for model in models for part in ("validation", "test")}
        with atomic_write(path) as file:
            np.savez(file, allow_pickle=False, seconds=models[0].seconds, **cdfs)
    with np.load(path, allow_pickle=False) as stored:
        models = []
        for made in (key.removeprefix("test:") for key in stored.files if key.startswith("test:")):
            validation, test = stored[f"validation:{made}"], stored[f"test:{made}"]
            rule = calibrated_rule(validation, sets.validation.reading) if recipe.calibrated else recipe.rule
            models.append(ComparedModel(made, validation, test, rule, float(stored["seconds"])))
        return models


def _train(
    name: str, recipe: TrainingRecipe, sets: BenchmarkSets, work_dir: Path, progress: Progress
) -> list[ComparedModel]:
    def named_progress(_: str, done: int, total: int | None) -> None:
        progress(name, done, total)

    started = time.monotonic()
    trained = train(recipe, sets.train, sets.validation, work_dir=work_dir, progress=named_progress)
    seconds = time.monotonic() - started
    validation, test = sets.validation.images, sets.test.images

    def predicted(images: NDArray[np.uint8]) -> Cdf:
        return predict(trained.network, images, stretched=recipe.stretch)

    model = ComparedModel(name, predicted(validation), predicted(test), recipe.rule, seconds)
    models = [model]
    if name == BEST:
        of_validation, of_test = (
            combinations.mean_prediction([cdf, predicted(images[:, :, ::-1])])
            for cdf, images in ((model.validation, validation), (model.test, test))
        )
        models.append(model.derived(f"{name}, with mirror image", of_validation, of_test, sets))
    if name in WITH_NEIGHBOURS:
        models.append(_with_neighbours(model, trained.network, sets, stretched=recipe.stretch))
    return models


def _with_neighbours(model: ComparedModel, network: Any, sets: BenchmarkSets, *, stretched: bool) -> ComparedModel:
    parts = (sets.train, sets.validation, sets.test)
    known, *unknown = (combinations.embed(network, part.images, stretched=stretched) for part in parts)
    candidates = []
    for k in NEIGHBOURS:
        if k <= len(known):
            validation, test = (combinations.neighbours_cdf(part, known, sets.train.reading, k) for part in unknown)
            candidates.append(replace(model, name=f"{model.name}, {k} neighbours", validation=validation, test=test))
    return max(candidates, key=lambda candidate: candidate.validation_score(sets.validation))


def _with_radiograph(model: ComparedModel, sets: BenchmarkSets) -> ComparedModel:
    adapt = combinations.RadiographContext(model.validation, sets.validation.sop_iuid, sets.validation.reading)
    adapted = adapt(model.validation, sets.validation.sop_iuid), adapt(model.test, sets.test.sop_iuid)
    return model.derived(f"{model.name}, with radiograph context", *adapted, sets)
