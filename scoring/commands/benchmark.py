"""All recipes on equal synthetic data, as the table that stands in docs/model.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from os import cpu_count
from typing import TYPE_CHECKING, Any

import click

from scoring.commands.console import Table, json_option, progress_bar, show
from scoring.errors import InvalidRequest
from scoring.pipeline import models
from scoring.progress import Progress
from scoring.settings import Settings, get_settings

if TYPE_CHECKING:
    from scoring.training.benchmark.comparison import Placed

_COMPARED = {"class_normalized_accuracy": "class-normalised accuracy", "quadratic_weighted_kappa": "QWK"}
_PLAIN = {
    "within_one_accuracy": "±1",
    "accuracy": "accuracy",
    "crps": "CRPS",
    "mse": "MSE",
    "mae": "MAE",
    "coverage_90": "in 90 % interval",
}


@click.command("benchmark")
@click.option("--recipe", "recipes", multiple=True, help="Recipe to compare. May be repeated; default: all.")
@click.option("--patients", default=500, show_default=True, type=click.IntRange(20), help="Of the training set.")
@click.option(
    "--test-joints", default=40_000, show_default=True, type=click.IntRange(100), help="Size of the test set."
)
@click.option("--epochs", default=8, show_default=True, type=click.IntRange(1), help="Epochs of every recipe.")
@click.option("--seed", default=1, show_default=True, help="Seed of every training.")
@click.option(
    "--shrink",
    default=2,
    show_default=True,
    type=click.IntRange(1, 2),
    help="2: half the resolution for all; 1: as the recipe states.",
)
@click.option("--model", help="Also compare this model, of the store or the shipped one.")
@click.option(
    "--inception-weights",
    metavar="FILE|imagenet",
    help="Initial weights of InceptionV3: a Keras file, or imagenet to download them; default: random weights.",
)
@json_option
def benchmark_command(  # noqa: PLR0917 - click passes options by name
    recipes: tuple[str, ...],
    patients: int,
    test_joints: int,
    epochs: int,
    seed: int,
    shrink: int,
    model: str | None,
    inception_weights: str | None,
    as_json: bool,
) -> None:
    """Compare all recipes on equal synthetic data.

    Every recipe of the thesis, and those meant to beat them, is trained on the same joints. Resumes where it was
    stopped.

    Example: scoring benchmark --recipe classification-weighted --recipe grid-residual --epochs 4
    """
    with progress_bar("benchmark on synthetic phantoms") as progress:
        found = run(
            get_settings(),
            recipes=recipes,
            patients=patients,
            test_joints=test_joints,
            epochs=epochs,
            seed=seed,
            shrink=shrink,
            model=model,
            inception_weights=inception_weights,
            progress=progress,
        )
    tables = [Table("figures", found.title, found.figures)]
    if found.differences:
        tables.append(
            Table("differences", "Lead over each other model, on the same resamples of patients", found.differences)
        )
    show(*tables, as_json=as_json)


@dataclass(frozen=True)
class Comparison:
    """What a benchmark prints.

    Attributes:
        title: What was compared on what.
        figures: One row a recipe, best first: measures, the two that decide with 95 % intervals by patients.
        differences: One row for each but the stored model, or without one but the best of the validation patients: how
            much that one is ahead, with paired 95 % intervals.
    """

    title: str
    figures: list[dict[str, Any]]
    differences: list[dict[str, Any]]


def run(
    settings: Settings,
    *,
    recipes: Sequence[str],
    patients: int,
    test_joints: int,
    epochs: int,
    seed: int,
    shrink: int,
    model: str | None = None,
    inception_weights: str | None = None,
    progress: Progress,
) -> Comparison:
    """Train the recipes on `phantom-train`, compare them on `phantom-test`, a stored model beside them if one is named.

    What was trained before with the same arguments is taken from `<var>/benchmark`.

    Raises:
        InvalidRequest: No such recipe, too few patients, the model has learnt from these patients, or these weights are
            not InceptionV3's.
        ModelRejected: No such model, or its files were changed.
    """
    from scoring.training.benchmark.comparison import TEST_SEED, TRAINING_SEED, contest, phantom_sets, place, shipped
    from scoring.training.recipes import RECIPES, recipe_named

    recipes = recipes or list(RECIPES)
    for name in recipes:
        recipe_named(name, seed=seed)
    if inception_weights is not None:
        _check_weights(recipes, inception_weights)
    stored = None if model is None else models.load(settings, model)
    if stored is not None and not {TRAINING_SEED, TEST_SEED}.isdisjoint(_learnt_from(settings, stored.manifest)):
        raise InvalidRequest(f"{model} has learnt from patients of this comparison")
    sets = phantom_sets(
        patients,
        test_joints,
        cache_dir=settings.var_dir / "phantom-cache",
        workers=cpu_count() or 1,
        progress=progress,
    )
    contestants = contest(
        recipes,
        sets,
        epochs=epochs,
        seed=seed,
        shrink=shrink,
        folder=settings.var_dir / "benchmark",
        inception_weights=inception_weights,
        progress=progress,
    )
    beside = [] if stored is None else shipped(stored, sets)
    placed = place([*contestants, *beside], sets, measured_by=beside[0] if beside else None)
    placed = sorted(placed, key=lambda one: -one.evaluation.measures["class_normalized_accuracy"])
    title = (
        f"{len(sets.test)} synthetic joints of {placed[0].evaluation.n_patients} phantom patients; {len(sets.train)} "
        f"joints of another registry to learn from, {epochs} epochs each, seed {seed}; says nothing about real patients"
    )
    mark = next(one.name for one in placed if not one.behind)
    return Comparison(
        title,
        [_figures(one) for one in placed],
        [_behind(one, mark) for one in placed if one.behind],
    )


def _learnt_from(settings: Settings, manifest: Mapping[str, Any]) -> Iterator[int]:
    """Seeds of the registries that a model has learnt from, and the models that it went on from."""
    yield manifest.get("data", {}).get("seed")
    if start := manifest.get("started_from"):
        yield from _learnt_from(settings, models.load(settings, start).manifest)


def _check_weights(recipes: Sequence[str], weights: str) -> None:
    """Build the network once, before hours are spent on other recipes."""
    from scoring.networks.architecture import build
    from scoring.training.recipes import recipe_named, transfers

    transferred = [
        recipe
        for recipe in (recipe_named(name, seed=0, inception_weights=weights) for name in recipes)
        if transfers(recipe)
    ]
    if not transferred:
        raise InvalidRequest("weights of InceptionV3 are named, and no recipe that begins with them: inception-...")
    try:
        build(transferred[0].architecture, dict(transferred[0].arguments))
    except (ValueError, OSError) as error:
        raise InvalidRequest(str(error)) from error


def _figures(one: "Placed") -> dict[str, Any]:
    found = one.evaluation
    row: dict[str, Any] = {"recipe": one.name}
    for measure, heading in _COMPARED.items():
        low, high = found.patient_intervals[measure]
        row[heading] = _with_interval(found.measures[measure], low, high)
    for measure, heading in _PLAIN.items():
        value = found.measures[measure]
        row[heading] = f"{value:.1f}" if value >= 10 else f"{value:.3f}"
    return {**row, "minutes": "" if isnan(one.seconds) else f"{one.seconds / 60:.1f}"}


def _behind(one: "Placed", mark: str) -> dict[str, Any]:
    row: dict[str, Any] = {f"{mark} less": one.name}
    return row | {heading: _with_interval(*one.behind[measure]) for measure, heading in _COMPARED.items()}


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
