"""All recipes on equal synthetic data, as the table that stands in docs/model.md."""

from collections.abc import Callable, Sequence
from os import cpu_count
from typing import Any

from scoring.settings import Settings

Progress = Callable[[str, int, int], None]

_SHOWN = {
    "class_normalized_accuracy": "class-norm. accuracy",
    "within_one_accuracy": "±1",
    "accuracy": "accuracy",
    "quadratic_weighted_kappa": "QWK",
    "crps": "CRPS",
    "mse": "MSE",
    "mae": "MAE",
}


def run(
    settings: Settings,
    *,
    recipes: Sequence[str],
    patients: int,
    test_joints: int,
    epochs: int,
    seed: int,
    shrink: int,
    progress: Progress,
) -> tuple[str, list[dict[str, Any]]]:
    """Train the recipes on `phantom-train`, compare them on `phantom-test`.

    What was trained before with the same arguments is taken from `<var>/benchmark`.

    Returns:
        A sentence that says what was compared on what, and one row a recipe, best first: measures with 95 % intervals
        by patients, and the difference to the best recipe with its paired interval.

    Raises:
        InvalidRequest: No such recipe, or too few patients.
    """
    from scoring.training.benchmark import contest, phantom_sets, place
    from scoring.training.recipes import RECIPES

    sets = phantom_sets(
        patients,
        test_joints,
        cache_dir=settings.var_dir / "phantom-cache",
        workers=cpu_count() or 1,
        on_draw=lambda done, total: progress("drawing synthetic joints", done, total),
    )
    contestants = contest(
        recipes or list(RECIPES),
        sets,
        epochs=epochs,
        seed=seed,
        shrink=shrink,
        folder=settings.var_dir / "benchmark",
        progress=progress,
    )
    placed = sorted(place(contestants, sets), key=lambda one: -one.evaluation.measures["class_normalized_accuracy"])
    title = (
        f"{len(sets.test)} synthetic joints of {placed[0].evaluation.n_patients} phantom patients; {len(sets.train)} "
        f"joints to learn from, {epochs} epochs each, seed {seed}; says nothing about real patients"
    )
    return title, [_row(one) for one in placed]


def _row(one: Any) -> dict[str, Any]:
    evaluation = one.evaluation
    row: dict[str, Any] = {"recipe": one.name}
    for measure, heading in _SHOWN.items():
        row[heading] = _with_interval(evaluation.measures[measure], evaluation.patient_intervals.get(measure))
    for measure in ("class_normalized_accuracy", "quadratic_weighted_kappa"):
        found = one.behind_best.get(measure)
        row[f"best less this, {_SHOWN[measure]}"] = "" if found is None else _with_interval(found[0], found[1:])
    return {**row, "minutes": round(one.seconds / 60, 1)}


def _with_interval(value: float, limits: Sequence[float] | None) -> str:
    digits = 1 if abs(value) >= 10 else 3 if abs(value) >= 0.1 else 4
    shown = f"{value:.{digits}f}"
    return shown if limits is None else f"{shown} ({limits[0]:.{digits}f} to {limits[1]:.{digits}f})"
