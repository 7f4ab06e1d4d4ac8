"""The command that compares recipes on equal synthetic data: benchmark."""

from collections.abc import Iterator, Mapping, Sequence
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
    from scoring.training.benchmark.comparison import ComparisonRow

_WITH_INTERVAL = {"class_normalized_accuracy": "class-normalised accuracy", "quadratic_weighted_kappa": "QWK"}
_WITHOUT_INTERVAL = {
    "within_one_accuracy": "±1",
    "accuracy": "accuracy",
    "crps": "CRPS",
    "mse": "MSE",
    "mae": "MAE",
    "coverage_90": "in 90 % interval",
}


@click.command("benchmark")
@click.option("--recipe", "recipes", multiple=True, help="Recipe to compare. May be repeated; default: all.")
@click.option("--patients", default=500, show_default=True, type=click.IntRange(20), help="Patients for training.")
@click.option(
    "--test-joints", default=40_000, show_default=True, type=click.IntRange(100), help="Size of the test set."
)
@click.option("--epochs", default=8, show_default=True, type=click.IntRange(1), help="Epochs per recipe.")
@click.option("--seed", default=1, show_default=True, help="Random seed of each training.")
@click.option(
    "--shrink",
    default=2,
    show_default=True,
    type=click.IntRange(1, 2),
    help="2: half the resolution for every recipe; 1: the recipe's own resolution.",
)
@click.option("--model", help="Also compare this stored or shipped model.")
@click.option(
    "--inception-weights",
    metavar="FILE|imagenet",
    help="Initial weights of InceptionV3: a Keras file, or imagenet to download them; default: random weights.",
)
@json_option
def benchmark_command(as_json: bool, **options: Any) -> None:
    """Compare training recipes on the same synthetic data.

    Trains each recipe (those of the thesis and newer ones) on the same joints. An interrupted benchmark resumes where
    it stopped.

    Example: scoring benchmark --recipe classification-weighted --recipe grid-residual --epochs 4
    """
    with progress_bar("benchmark on synthetic phantoms") as progress:
        tables = run(get_settings(), **options, progress=progress)
    show(*tables, as_json=as_json)


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
) -> list[Table]:
    """Train recipes on `phantom-train` and compare them, and a stored model if one is named, on `phantom-test`.

    Networks trained before with the same arguments are read from `<var>/benchmark`.

    Returns:
        Figures, one row per model, best first: measures, the two main ones with 95 % intervals over patients. And, with
        two models or more, differences: the lead of the reference over each other model, with paired 95 % intervals.
        The reference is the stored model, or without one the best model on the validation set.

    Raises:
        InvalidRequest: There is no such recipe, there are too few patients, the model was trained on these patients, or
            the weights are not those of InceptionV3.
        ModelRejected: There is no such model, or its files were changed.
    """
    from scoring.training.benchmark import comparison
    from scoring.training.data.phantoms import PhantomSource
    from scoring.training.recipes import RECIPES

    recipes = recipes or list(RECIPES)
    _check_recipes(recipes, inception_weights)
    stored = None if model is None else models.load(settings, model)
    of_benchmark = {comparison.TRAINING_SEED, comparison.TEST_SEED}
    if stored is not None and not of_benchmark.isdisjoint(_training_seeds(settings, stored.manifest)):
        raise InvalidRequest(f"Model {model} was trained on patients of this benchmark. Compare another model.")
    source = PhantomSource(cache_dir=settings.var_dir / "phantom-cache", workers=cpu_count() or 1, progress=progress)
    sets = comparison.phantom_sets(patients, test_joints, source)
    trained = comparison.compare_recipes(
        recipes,
        sets,
        epochs=epochs,
        seed=seed,
        shrink=shrink,
        folder=settings.var_dir / "benchmark",
        inception_weights=inception_weights,
        progress=progress,
    )
    variants = [] if stored is None else comparison.stored_model_variants(stored, sets)
    rows = comparison.evaluate_models([*trained, *variants], sets, reference=variants[0] if variants else None)
    rows = sorted(rows, key=lambda row: -row.evaluation.measures["class_normalized_accuracy"])
    title = (
        f"{len(sets.test)} synthetic joints of {rows[0].evaluation.n_patients} phantom patients; {len(sets.train)} "
        f"training joints of another registry, {epochs} epochs each, seed {seed}; says nothing about real patients"
    )
    tables = [Table("figures", title, list(map(_figures, rows)))]
    reference = next(row.model.name for row in rows if not row.lead)
    if leads := [_lead(row, reference) for row in rows if row.lead]:
        tables.append(Table("differences", "Reference minus other model, paired bootstrap over patients", leads))
    return tables


def _training_seeds(settings: Settings, manifest: Mapping[str, Any]) -> Iterator[int]:
    """Yield the seeds of the registries that a model, and the models it started from, were trained on."""
    yield manifest.get("data", {}).get("seed")
    if start := manifest.get("started_from"):
        yield from _training_seeds(settings, models.load(settings, start).manifest)


def _check_recipes(names: Sequence[str], weights: str | None) -> None:
    """Check the names of recipes, and build a network with given weights, before hours of training other recipes."""
    from scoring.networks.architecture import build
    from scoring.training.recipes import is_transfer, recipe_named

    recipes = [recipe_named(name, seed=0, inception_weights=weights) for name in names]
    if weights is None:
        return
    recipe = next(filter(is_transfer, recipes), None)
    if recipe is None:
        raise InvalidRequest(
            "--inception-weights is given, but no recipe uses InceptionV3. Add an inception-... recipe or omit it."
        )
    try:
        build(recipe.architecture, dict(recipe.arguments))
    except (ValueError, OSError) as error:
        raise InvalidRequest(str(error)) from error


def _figures(row: "ComparisonRow") -> dict[str, Any]:
    found, seconds = row.evaluation, row.model.seconds
    cells = {"recipe": row.model.name}
    for measure, heading in _WITH_INTERVAL.items():
        cells[heading] = _with_interval(found.measures[measure], *found.patient_intervals[measure])
    for measure, heading in _WITHOUT_INTERVAL.items():
        value = found.measures[measure]
        cells[heading] = f"{value:.1f}" if value >= 10 else f"{value:.3f}"
    return {**cells, "minutes": "" if isnan(seconds) else f"{seconds / 60:.1f}"}


def _lead(row: "ComparisonRow", reference: str) -> dict[str, Any]:
    cells = {f"{reference} minus": row.model.name}
    for measure, heading in _WITH_INTERVAL.items():
        found = row.lead[measure]
        cells[heading] = _with_interval(found.value, found.low, found.high)
    return cells


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
