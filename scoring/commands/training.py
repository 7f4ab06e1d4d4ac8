"""Commands that train models: train, fine-tune, retrain."""

import getpass
from datetime import date
from os import cpu_count
from typing import TYPE_CHECKING, Any

import click

from scoring.commands.console import BatchDate, Table, json_option, progress_bar, show
from scoring.commands.evaluation import figures, format_interval
from scoring.pipeline import models, retraining
from scoring.progress import Progress
from scoring.settings import Settings, get_settings

if TYPE_CHECKING:
    from scoring.training.data.phantoms import PhantomSource

SYNTHETIC = "figures on held-out synthetic phantoms say nothing about patients"


@click.command("train")
@click.option("--version", required=True, help="Name of the new model, such as phantom-4.")
@click.option("--recipe", default="grid-residual", show_default=True, help="See the reference of recipes.")
@click.option("--difficulty", default="lifelike", show_default=True, help="lifelike, or plain: easier to read.")
@click.option(
    "--patients", default=2000, show_default=True, type=click.IntRange(10), help="For training and validation."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the patients and of the training.")
@click.option("--epochs", default=12, show_default=True, type=click.IntRange(1), help="Maximum number of epochs.")
@json_option
def train_command(  # noqa: PLR0917 - click passes options by name
    version: str, recipe: str, difficulty: str, patients: int, seed: int, epochs: int, as_json: bool
) -> None:
    """Train a network on synthetic phantoms.

    The model is written to the model store; it is not promoted. The defaults are those of the shipped model and take
    one to two hours on two cores. A training that was stopped resumes from its last finished epoch.

    Example: scoring train --version phantom-4
    """
    with progress_bar(f"training {version} on synthetic phantoms") as progress:
        rows = train(
            get_settings(),
            version=version,
            recipe=recipe,
            difficulty=difficulty,
            patients=patients,
            seed=seed,
            epochs=epochs,
            progress=progress,
        )
    show(Table("figures", f"{version}; {SYNTHETIC}", rows), as_json=as_json)


@click.command("fine-tune")
@click.option("--from", "start", required=True, help="Model to start from: in the store, or the shipped one.")
@click.option("--version", required=True, help="Name of the new model, such as phantom-3-limbs.")
@click.option("--difficulty", default="plain", show_default=True, help="plain, or lifelike: harder to read.")
@click.option(
    "--patients", default=150, show_default=True, type=click.IntRange(10), help="For training and validation."
)
@click.option("--test-joints", default=4000, show_default=True, type=click.IntRange(100), help="Per limb.")
@click.option("--epochs", default=2, show_default=True, type=click.IntRange(1), help="Maximum number of epochs.")
@json_option
def fine_tune_command(  # noqa: PLR0917 - click passes options by name
    start: str, version: str, difficulty: str, patients: int, test_joints: int, epochs: int, as_json: bool
) -> None:
    """Train a left-hand model further, on other joints.

    The joints are synthetic right hands, wrists and feet. Prints the figures per limb, before and after.

    Example: scoring fine-tune --from phantom-3 --version phantom-3-limbs
    """
    with progress_bar(f"fine-tuning {start} on synthetic phantoms") as progress:
        rows = fine_tune(
            get_settings(),
            start=start,
            version=version,
            difficulty=difficulty,
            patients=patients,
            test_joints=test_joints,
            epochs=epochs,
            progress=progress,
        )
    show(Table("limbs", f"{version}; {SYNTHETIC}", rows), as_json=as_json)


@click.command("retrain")
@click.option("--recipe", "recipes", multiple=True, required=True, help="Recipe of a candidate. May be repeated.")
@click.option("--cut-off", type=BatchDate(), help="Newest batch whose readings are used; default: the newest.")
@click.option(
    "--metric",
    default="accuracy_and_kappa",
    show_default=True,
    help="Metric of the comparison; others: class_normalized_accuracy, quadratic_weighted_kappa, within_one_accuracy.",
)
@click.option("--epochs", type=click.IntRange(1), help="Maximum number of epochs; default: the recipe's own.")
@click.option("--approve", is_flag=True, help="Promote the best candidate if the gate proposes it.")
def retrain_command(
    recipes: tuple[str, ...], cut_off: date | None, metric: str, epochs: int | None, approve: bool
) -> None:
    """Train candidates on the site's own readings.

    The best candidate is compared with the champion, and the comparison is printed. Without --approve, nothing is
    promoted.

    Example: scoring retrain --recipe grid-residual-balanced --cut-off 2026-11-21
    """
    with progress_bar("retraining") as progress:
        challenge = retraining.retrain(
            get_settings(),
            recipes=recipes,
            cut_off=cut_off,
            metric=metric,
            epochs=epochs,
            approve=approve,
            triggered_by=getpass.getuser(),
            progress=progress,
        )
    click.echo(challenge.question)
    if not challenge.proposed:
        click.echo(f"{challenge.challenger} is not proposed; {challenge.champion} remains the champion.")
    elif approve:
        click.echo(f"{challenge.challenger} is promoted. Run `scoring rescore` to make it the champion.")
    else:
        click.echo(
            f'{challenge.challenger} is proposed. To promote it: scoring promote {challenge.challenger} --reason "..."'
        )


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
    """Train a network on synthetic phantoms by a named recipe, and write it to the model store.

    Returns:
        The held-out figures of its manifest, as rows of a table.
    """
    from scoring.training.phantoms import train_on_phantoms
    from scoring.training.recipes import recipe_named

    manifest = train_on_phantoms(
        version,
        recipe_named(recipe, seed=seed, epochs=epochs),
        settings.model_store_url,
        source=_source(settings, difficulty, progress),
        n_patients=patients,
        seed=seed,
        work_dir=settings.var_dir / "training" / version,
        code_revision=settings.revision,
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
    """Train a model further on synthetic joints of all limbs. Promotes nothing.

    Returns:
        One row per limb: measures before and after, with 95 % intervals over patients.
    """
    from scoring.training.phantoms import fine_tune as fine_tune_limbs

    figures_by_limb = fine_tune_limbs(
        models.load(settings, start),
        version,
        settings.model_store_url,
        source=_source(settings, difficulty, progress),
        n_patients=patients,
        test_joints=test_joints,
        epochs=epochs,
        work_dir=settings.var_dir / "training" / version,
        code_revision=settings.revision,
    )
    rows = []
    for found in figures_by_limb:
        row: dict[str, Any] = {"limb": found.limb.replace("_", " "), "joints": found.before.n}
        for measure, heading in (
            ("class_normalized_accuracy", "class-norm. accuracy"),
            ("quadratic_weighted_kappa", "QWK"),
        ):
            for when, evaluation in (("before", found.before), ("after", found.after)):
                limits = format_interval(list(evaluation.patient_intervals[measure]))
                row[f"{heading}, {when}"] = f"{evaluation.measures[measure]:.3f} ({limits})"
        row |= {
            "CRPS, before": round(found.before.measures["crps"], 4),
            "CRPS, after": round(found.after.measures["crps"], 4),
        }
        rows.append(row)
    return rows


def _source(settings: Settings, difficulty: str, progress: Progress) -> "PhantomSource":
    from scoring.phantom.difficulty import difficulty_named
    from scoring.training.data.phantoms import PhantomSource

    return PhantomSource(difficulty_named(difficulty), settings.var_dir / "phantom-cache", cpu_count() or 1, progress)
