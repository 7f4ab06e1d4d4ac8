"""Recipes against each other: the same synthetic joints, the same number of joints shown, the same questions.

Three named sets, made on demand and kept: `phantom-train` and `phantom-validation` are patients of one synthetic
registry, told apart by `dataset.split_of`; `phantom-test` is drawn from a registry with another seed. Whatever is tuned
(the best epoch, the number of neighbours, the weights of the grades, the level of the intervals) is tuned on
`phantom-validation`. The answers of every recipe are kept too, so that a benchmark that was stopped goes on.
"""

import hashlib
import json
import logging
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
from scoring.training.benchmark.combinations import Isotonic, RadiographContext, Temperature, mean_answer
from scoring.training.benchmark.neighbours import embed, neighbours_cdf
from scoring.training.candidate import predict_joints
from scoring.training.data import phantoms
from scoring.training.data.joint_set import JointSet, snapshot_sha256, split
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.evaluation.evaluate import Evaluation, difference_interval, evaluate_predictions
from scoring.training.fit import TrainingRecipe, predict, train
from scoring.training.recipes import BEST, recipe_named, transfers

logger = logging.getLogger(__name__)

TRAINING_SEED = 11
TEST_SEED = 7_011

NEIGHBOURS = (11, 31, 51, 91)
"""Numbers of neighbours to choose from; the thesis found 51 to 91 best."""

WITH_NEIGHBOURS = frozenset({"classification-weighted", "regression-plain", "inception-regression"})
"""The thesis's recipes whose embeddings it asks for neighbours (section 4.6.1)."""

MIRRORED_TOO = BEST
"""The recipe that is also asked about the mirrored images; the mean of both answers is one more contestant."""

ON_ITS_RADIOGRAPH = BEST
"""The recipe whose answers are also moved by those for the other joints of the radiograph."""

COMPARED = ("class_normalized_accuracy", "quadratic_weighted_kappa")

Cdf = NDArray[np.float32]


@dataclass(frozen=True)
class BenchmarkSets:
    """The three named sets: `phantom-train`, `phantom-validation`, `phantom-test`."""

    train: JointSet
    validation: JointSet
    test: JointSet

    @property
    def sha256(self) -> str:
        """Names the content of all three."""
        return hashlib.sha256(
            "".join(snapshot_sha256(part) for part in (self.train, self.validation, self.test)).encode()
        ).hexdigest()


@dataclass(frozen=True)
class Contestant:
    """What one recipe answers: distributions for both sets that nothing was learnt from, and what it took."""

    name: str
    validation: Cdf
    test: Cdf
    rule: ReadOutRule
    seconds: float


@dataclass(frozen=True)
class Placed:
    """One line of the comparison.

    Attributes:
        name: The recipe.
        evaluation: Of its answers on `phantom-test`.
        behind: The one that all are measured by less this one, by measure, with paired 95 % intervals; empty for that
            one itself.
        seconds: Training time, of the last session where it was stopped and went on; NaN of a stored model.
    """

    name: str
    evaluation: Evaluation
    behind: dict[str, tuple[float, float, float]]
    seconds: float


def phantom_sets(
    n_patients: int,
    test_joints: int,
    *,
    cache_dir: Path | None,
    workers: int = 1,
    progress: Progress = no_progress,
) -> BenchmarkSets:
    """Draw the named sets, or take them from the cache.

    Args:
        n_patients: Patients of the registry behind `phantom-train` and `phantom-validation`; about 50 joints each, 70 %
            to learn from and 20 % to choose by.
        test_joints: Joints of `phantom-test`, at the registry's prevalence.
        cache_dir: Local folder that keeps them.
        workers: Processes that draw.
        progress: Called during drawing.
    """
    drawn = phantoms.draw_phantoms(
        n_patients, TRAINING_SEED, difficulty=LIFELIKE, cache_dir=cache_dir, workers=workers, progress=progress
    ).joints
    parts = split(drawn)
    test = phantoms.held_out(
        TEST_SEED, test_joints, difficulty=LIFELIKE, cache_dir=cache_dir, workers=workers, progress=progress
    )
    return BenchmarkSets(parts["train"], parts["validation"], test)


def contest(
    names: Sequence[str],
    sets: BenchmarkSets,
    *,
    epochs: int,
    seed: int,
    shrink: int,
    folder: Path,
    inception_weights: str | None = None,
    progress: Progress = no_progress,
) -> list[Contestant]:
    """Train every recipe on the same sets with the same number of epochs; what is in the folder is not trained again.

    Args:
        names: Keys of `RECIPES`.
        sets: The sets.
        epochs: Of every recipe, so that each sees as many joints.
        seed: Of every recipe.
        shrink: Every network sees the image averaged over squares of this side; 2 costs a quarter of the arithmetic, 1
            leaves it to the recipe.
        folder: Local folder for answers and checkpoints. Predictions are known by recipe and data: after a change to the
            code that trains, delete it.
        inception_weights: What the transfer recipes begin with, see `recipe_named`.
        progress: Called with the recipe's name, steps done and steps in all.

    Returns:
        The recipes in the order given, each of `WITH_NEIGHBOURS` followed by the neighbours on its embeddings; then
        the answers that know the other joints of their radiograph.
    """
    found = []
    for name in names:
        recipe = shrunk(recipe_named(name, seed=seed, epochs=epochs, inception_weights=inception_weights), shrink)
        found += _calibrated(_answers(name, recipe, sets, folder, progress), recipe, sets)
    return found + _combined({one.name: one for one in found}, sets)


def shipped(model: StoredModel, sets: BenchmarkSets) -> list[Contestant]:
    """A stored model's answers beside the recipes', as they are and calibrated anew on `phantom-validation`.

    It was trained on other data, and perhaps on more.
    """
    of_validation, of_test = (predict_joints(model, part)[0] for part in (sets.validation, sets.test))
    stored = Contestant(
        name=f"{model.version}, as stored",
        validation=of_validation.cdf,
        test=of_test.cdf,
        rule=model.rule,
        seconds=math.nan,
    )
    found = [stored]
    for way, kind in (("tempered", Temperature), ("isotonic", Isotonic)):
        calibrated = kind(stored.validation, sets.validation.reading)
        answers = calibrated(stored.validation), calibrated(stored.test)
        found.append(_made_of(f"{model.version}, {way}", stored, *answers, sets))
    return found


def shrunk(recipe: TrainingRecipe, shrink: int) -> TrainingRecipe:
    """The recipe for an image that is averaged over squares of side `shrink` first."""
    if shrink == 1:
        return recipe
    if transfers(recipe):
        # InceptionV3 takes nothing smaller than 75 pixels.
        seen = max(75, recipe.arguments["side"] // shrink)
        return replace(recipe, arguments={**recipe.arguments, "seen_side": seen})
    return replace(recipe, arguments={**recipe.arguments, "shrink": shrink})


def place(
    contestants: Sequence[Contestant], sets: BenchmarkSets, *, measured_by: Contestant | None = None
) -> list[Placed]:
    """Evaluate every contestant on `phantom-test`, in the order given.

    The others are compared with one on the same resamples of patients: with the one named, or with the best, which is
    the one with the highest `accuracy_and_kappa` on `phantom-validation`.
    """
    mark = measured_by or max(contestants, key=lambda one: _score(one, sets.validation))
    answers = {one.name: Predictions(one.test, one.rule) for one in contestants}
    placed = []
    for one in contestants:
        given = answers[one.name]
        behind = {}
        if one is not mark:
            differences = difference_interval(answers[mark.name], given, sets.test, measures=COMPARED)
            behind = {name: (found.value, found.low, found.high) for name, found in differences.items()}
        placed.append(Placed(one.name, evaluate_predictions(given, sets.test), behind, one.seconds))
    return placed


def _score(one: Contestant, joints: JointSet) -> float:
    return metrics.evaluate(one.validation, joints.reading, one.rule)["accuracy_and_kappa"]


def _calibrated(found: list[Contestant], recipe: TrainingRecipe, sets: BenchmarkSets) -> list[Contestant]:
    if not recipe.calibrated:
        return found
    return [replace(one, rule=calibrated_rule(one.validation, sets.validation.reading)) for one in found]


def _answers(
    name: str, recipe: TrainingRecipe, sets: BenchmarkSets, folder: Path, progress: Progress
) -> list[Contestant]:
    # What is None says nothing: a rule that could hold weights and does not is the rule that it was before it could.
    facts = asdict(recipe, dict_factory=lambda pairs: {name: value for name, value in pairs if value is not None})
    key = hashlib.sha256((json.dumps(facts, sort_keys=True) + sets.sha256).encode()).hexdigest()[:16]
    path = folder / f"{name}-{key}.npz"
    if not path.exists():
        _write(path, _train(name, recipe, sets, folder / f"{name}-{key}", progress))
    return _read(path)


def _train(
    name: str, recipe: TrainingRecipe, sets: BenchmarkSets, work_dir: Path, progress: Progress
) -> list[Contestant]:
    started = time.monotonic()
    trained = train(
        recipe,
        sets.train,
        sets.validation,
        work_dir=work_dir,
        progress=lambda _, done, total: progress(name, done, total),
    )
    seconds = time.monotonic() - started
    of_validation, of_test = (
        predict(trained.network, part.images, stretched=recipe.stretch) for part in (sets.validation, sets.test)
    )
    found = [Contestant(name, of_validation, of_test, recipe.rule, seconds)]
    if name == MIRRORED_TOO:
        mirrored = (
            predict(trained.network, part.images[:, :, ::-1], stretched=recipe.stretch)
            for part in (sets.validation, sets.test)
        )
        both = [mean_answer(pair) for pair in zip((of_validation, of_test), mirrored, strict=True)]
        found.append(_made_of(f"{name}, mirrored too", found[0], both[0], both[1], sets))
    if name in WITH_NEIGHBOURS:
        found.append(_neighbours(name, recipe, trained.network, sets, found[0]))
    return found


def _neighbours(name: str, recipe: TrainingRecipe, network: Any, sets: BenchmarkSets, head: Contestant) -> Contestant:
    known, of_validation, of_test = (
        embed(network, part.images, stretched=recipe.stretch) for part in (sets.train, sets.validation, sets.test)
    )
    candidates = [
        replace(
            head,
            name=f"{name}, {k} neighbours",
            validation=neighbours_cdf(of_validation, known, sets.train.reading, k),
            test=neighbours_cdf(of_test, known, sets.train.reading, k),
        )
        for k in NEIGHBOURS
        if k <= len(known)
    ]
    return max(candidates, key=lambda one: _score(one, sets.validation))


def _combined(found: dict[str, Contestant], sets: BenchmarkSets) -> list[Contestant]:
    if ON_ITS_RADIOGRAPH not in found:
        return []
    one = found[ON_ITS_RADIOGRAPH]
    context = RadiographContext(one.validation, sets.validation.sop_iuid, sets.validation.reading)
    moved = (context(one.validation, sets.validation.sop_iuid), context(one.test, sets.test.sop_iuid))
    return [_made_of(f"{one.name}, with its radiograph", one, *moved, sets)]


def _made_of(name: str, parent: Contestant, of_validation: Cdf, of_test: Cdf, sets: BenchmarkSets) -> Contestant:
    rule = calibrated_rule(of_validation, sets.validation.reading)
    return replace(parent, name=name, validation=of_validation, test=of_test, rule=rule)


def _write(path: Path, found: list[Contestant]) -> None:
    arrays: dict[str, Any] = {}
    for number, one in enumerate(found):
        arrays |= {f"{number}:validation": one.validation, f"{number}:test": one.test}
    facts = [{"name": one.name, "rule": asdict(one.rule), "seconds": one.seconds} for one in found]
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, facts=np.array(json.dumps(facts)), **arrays)


def _read(path: Path) -> list[Contestant]:
    with np.load(path, allow_pickle=False) as stored:
        return [
            Contestant(
                name=facts["name"],
                validation=stored[f"{number}:validation"],
                test=stored[f"{number}:test"],
                rule=ReadOutRule.from_dict(facts["rule"]),
                seconds=facts["seconds"],
            )
            for number, facts in enumerate(json.loads(str(stored["facts"])))
        ]
