"""Models of this installation: load, train, evaluate, describe, promote."""

from collections.abc import Callable
from os import cpu_count
from typing import TYPE_CHECKING, Any, Literal

from scoring.pipeline import installation
from scoring.settings import Settings

if TYPE_CHECKING:
    from scoring.networks.stored import StoredModel
    from scoring.training.evaluate import Evaluation

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

FIRST_PROMOTION = "the model that ships with the package; this warehouse had none"


def load(settings: Settings, version: str) -> "StoredModel":
    """A model of the store, or the shipped one, with every file checked against its manifest.

    Raises:
        ModelRefused: There is no such version, or a file differs from what its manifest states.
    """
    from scoring.training.store import find_model

    return find_model(version, settings.model_store_url)


def champion(settings: Settings) -> "StoredModel":
    """The model whose predictions the views show, checked: nights are scored with it.

    A model that is promoted and whose history is not rescored yet is not the champion. A warehouse that has none
    promotes the one that ships with the package.

    Raises:
        ModelRefused: Its files are missing or were changed, or the warehouse knows other weights under its name.
    """
    from scoring.training.store import SHIPPED_VERSION
    from scoring.warehouse import models

    engine = installation.warehouse(settings)
    active = models.champion(engine)
    model = load(settings, active["version"] if active else SHIPPED_VERSION)
    # Registering again compares the weights with those that the warehouse knows under this name.
    models.register_model(engine, model.manifest)
    if active is None:
        models.promote(engine, model.version, promoted_by="nightly_scoring", reason=FIRST_PROMOTION)
    return model


def promote(settings: Settings, *, version: str, promoted_by: str, reason: str) -> str | None:
    """Promote a model of the store.

    Returns:
        The model that the views go on showing until the history is rescored; None if they show the promoted one.
    """
    from scoring.warehouse import migrate, models

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    models.register_model(engine, load(settings, version).manifest)
    if models.promote(engine, version, promoted_by=promoted_by, reason=reason):
        return None
    active = models.champion(engine)
    return active["version"] if active else None


def train(
    settings: Settings,
    *,
    version: str,
    recipe: str,
    difficulty: str,
    patients: int,
    seed: int,
    epochs: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Train a network on synthetic phantoms by a named recipe and write it to the model store.

    A training that was stopped goes on from its last finished epoch.

    Returns:
        The held-out figures of its manifest, as rows of a table.
    """
    from scoring.phantom.difficulty import difficulty_named
    from scoring.training.phantoms import train_on_phantoms
    from scoring.training.recipes import recipe_named

    manifest = train_on_phantoms(
        patients,
        seed,
        epochs,
        settings.model_store_url,
        version,
        recipe=recipe_named(recipe, seed=seed, epochs=epochs),
        difficulty=difficulty_named(difficulty),
        cache_dir=settings.var_dir / "phantom-cache",
        work_dir=settings.var_dir / "training" / version,
        workers=cpu_count() or 1,
        code_revision=settings.revision,
        on_draw=lambda done, total: progress("drawing synthetic joints", done, total),
        on_step=lambda done, total: progress("training", done, total),
    )
    return figures(manifest["metrics"]["reading"])


def fine_tune(
    settings: Settings,
    *,
    start: str,
    version: str,
    difficulty: str,
    patients: int,
    test_joints: int,
    epochs: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Go on training a model on synthetic joints of right hands, wrists and feet. Promotes nothing.

    Returns:
        One row a limb: measures with 95 % intervals by patients, before and after.
    """
    from scoring.phantom.difficulty import difficulty_named
    from scoring.training.limbs import fine_tune as fine_tune_limbs

    figures_by_limb = fine_tune_limbs(
        load(settings, start),
        version,
        settings.model_store_url,
        difficulty=difficulty_named(difficulty),
        n_patients=patients,
        test_joints=test_joints,
        epochs=epochs,
        cache_dir=settings.var_dir / "phantom-cache",
        work_dir=settings.var_dir / "training" / version,
        workers=cpu_count() or 1,
        code_revision=settings.revision,
        on_draw=lambda done, total: progress("drawing synthetic joints", done, total),
        on_step=lambda done, total: progress("fine-tuning", done, total),
    )
    rows = []
    for found in figures_by_limb:
        row: dict[str, Any] = {"limb": found.limb.replace("_", " "), "joints": found.before.n}
        for measure, heading in (
            ("class_normalized_accuracy", "class-norm. accuracy"),
            ("quadratic_weighted_kappa", "QWK"),
        ):
            for when, evaluation in (("before", found.before), ("after", found.after)):
                limits = _interval(list(evaluation.patient_intervals[measure]))
                row[f"{heading}, {when}"] = f"{evaluation.measures[measure]:.3f} ({limits})"
        row |= {
            "CRPS, before": round(found.before.measures["crps"], 4),
            "CRPS, after": round(found.after.measures["crps"], 4),
        }
        rows.append(row)
    return rows


def evaluate(
    settings: Settings, *, version: str | None, joints: int | None, against_truth: bool, progress: Progress
) -> tuple[str, list[dict[str, Any]]]:
    """Evaluate a model on held-out phantoms; beside it always-0, a reader without error and the simulated reader.

    Without `joints` the test set is the one of the model's manifest, and so are the figures.

    Returns:
        A sentence that says what was evaluated on what, and the figures as rows of a table.
    """
    from scoring.training.store import SHIPPED_VERSION

    version = version or SHIPPED_VERSION
    evaluation = _evaluate(settings, version, joints, "truth" if against_truth else "reading", progress)
    title = (
        f"{version} against the {evaluation.against} of {evaluation.n} joints of {evaluation.n_patients} synthetic "
        f"patients ({evaluation.engine}); says nothing about real patients"
    )
    return title, figures(evaluation.to_dict())


def card(settings: Settings, *, version: str | None, evaluate_now: bool = False, progress: Progress) -> list[str]:
    """Write the card of a model, as HTML and as Markdown with its figures, below the reports.

    Args:
        settings: The installation.
        version: The model; None is the shipped one.
        evaluate_now: Evaluate it on its held-out phantoms instead of taking the figures of its manifest, which an older
            version of this package may have written with fewer measures.
        progress: Called while phantoms are drawn.

    Returns:
        Where the HTML and the Markdown lie.

    Raises:
        ModelRefused: There is no such version, or a file differs from what its manifest states.
        InvalidRequest: The manifest holds no evaluation, or phantoms are asked about a model of a site's own readings.
    """
    from upath import UPath

    from scoring.errors import InvalidRequest
    from scoring.report import model_card
    from scoring.report.page import write_page
    from scoring.training.store import SHIPPED_VERSION

    version = version or SHIPPED_VERSION
    manifest = load(settings, version).manifest
    evaluations: dict[str, Any] = manifest.get("metrics", {})
    if evaluate_now:
        evaluations = {
            "reading": _evaluate(settings, version, None, "reading", progress).to_dict(),
            "truth": _evaluate(settings, version, None, "truth", progress).to_dict(),
        }
    if "reading" not in evaluations:
        raise InvalidRequest(
            f"the manifest of model {version} holds no evaluation against readings; `scoring card --version {version}"
            " --evaluate` makes one"
        )
    folder = UPath(settings.report_url) / "models" / version
    pages = {
        str(folder / "model_card.html"): model_card.render_html(manifest, evaluations),
        str(folder / "model_card.md"): model_card.render_markdown(manifest, evaluations),
    }
    for name, svg in model_card.figure_files(manifest, evaluations).items():
        write_page(svg, str(folder / "figures" / name))
    for path, text in pages.items():
        write_page(text, path)
    return list(pages)


def figures(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """An evaluation as rows: measure, value, 95 % interval by patients, and what trivial and ideal answers give."""
    beside = {
        title: evaluation[key]
        for key, title in (
            ("always_0", "always 0"),
            ("errorless_reader", "errorless reader"),
            ("reader", "simulated reader"),
        )
        if evaluation.get(key)
    }
    rows = [
        {
            "measure": measure.replace("_", " "),
            "model": value,
            "95 % interval": _interval(evaluation["patient_intervals"].get(measure)),
            **{title: measures.get(measure) for title, measures in beside.items()},
        }
        for measure, value in evaluation["measures"].items()
    ]
    return rows + [
        {
            "measure": f"recall of grade {grade} ({sum(evaluation['confusion'][grade])} joints)",
            "model": recall,
            "95 % interval": _interval(evaluation["recall_wilson"][grade]),
            **{title: float(grade == 0) if title == "always 0" else None for title in beside},
        }
        for grade, recall in enumerate(evaluation["recall"])
    ]


def _evaluate(
    settings: Settings, version: str, joints: int | None, against: Literal["reading", "truth"], progress: Progress
) -> "Evaluation":
    from scoring.training.phantoms import evaluate_on_phantoms

    return evaluate_on_phantoms(
        version,
        settings.model_store_url,
        n_joints=joints,
        against=against,
        cache_dir=settings.var_dir / "phantom-cache",
        workers=cpu_count() or 1,
        on_draw=lambda done, total: progress("drawing synthetic joints", done, total),
    )


def _interval(limits: list[float | None] | None) -> str | None:
    if limits is None or any(limit is None for limit in limits):
        return None
    return f"{limits[0]:.3f} to {limits[1]:.3f}"
