"""Commands that train models: train, fine-tune, retrain."""

import getpass
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from scoring.commands.console import BatchDate, Table, json_option, progress_bar, show
from scoring.commands.evaluation import figures, format_interval, phantom_source
from scoring.pipeline import models, retraining
from scoring.settings import get_settings

if TYPE_CHECKING:
    from scoring.training.phantoms import LimbFigures

SYNTHETIC = "results on held-out synthetic phantoms, which say nothing about patients"


@click.command("train")
@click.option("--version", required=True, help="Name of the new model, such as phantom-4.")
@click.option("--recipe", default="grid-residual", show_default=True, help="Name of a training recipe.")
@click.option("--difficulty", default="lifelike", show_default=True, help="Images: lifelike, or plain (easier).")
@click.option(
    "--patients", default=2000, show_default=True, type=click.IntRange(10), help="Patients for training and validation."
)
@click.option("--seed", default=1, show_default=True, help="Random seed of patients and training.")
@click.option("--epochs", default=12, show_default=True, type=click.IntRange(1), help="Maximum number of epochs.")
@json_option
def train_command(  # noqa: PLR0917 - click passes options by name
    version: str, recipe: str, difficulty: str, patients: int, seed: int, epochs: int, as_json: bool
) -> None:
    """Train a network on synthetic phantoms.

    Writes the model to the model store, but does not promote it. The defaults are those of the shipped model and take
    one to two hours on two cores. An interrupted training resumes from its last finished epoch.

    Example: scoring train --version phantom-4
    """
    from scoring.training.phantoms import train_on_phantoms
    from scoring.training.recipes import recipe_named

    settings = get_settings()
    with progress_bar(f"training {version} on synthetic phantoms") as progress:
        manifest = train_on_phantoms(
            version,
            recipe_named(recipe, seed=seed, epochs=epochs),
            settings.model_store_url,
            source=phantom_source(settings, difficulty, progress),
            n_patients=patients,
            seed=seed,
            work_dir=settings.var_dir / "training" / version,
            code_revision=settings.revision,
        )
    show(Table("figures", f"{version}; {SYNTHETIC}", figures(manifest["metrics"]["reading"])), as_json=as_json)


@click.command("fine-tune")
@click.option("--from", "start", required=True, help="Model to start from: a stored or the shipped model.")
@click.option("--version", required=True, help="Name of the new model, such as phantom-3-limbs.")
@click.option("--difficulty", default="plain", show_default=True, help="Images: plain, or lifelike (harder).")
@click.option(
    "--patients", default=150, show_default=True, type=click.IntRange(10), help="Patients for training and validation."
)
@click.option("--test-joints", default=4000, show_default=True, type=click.IntRange(100), help="Joints per limb.")
@click.option("--epochs", default=2, show_default=True, type=click.IntRange(1), help="Maximum number of epochs.")
@json_option
def fine_tune_command(  # noqa: PLR0917 - click passes options by name
    start: str, version: str, difficulty: str, patients: int, test_joints: int, epochs: int, as_json: bool
) -> None:
    """Fine-tune a model of left hands on other joints.

    The joints are from synthetic right hands, wrists and feet. Prints the results per limb before and after.

    Example: scoring fine-tune --from phantom-3 --version phantom-3-limbs
    """
    from scoring.training.phantoms import fine_tune

    settings = get_settings()
    with progress_bar(f"fine-tuning {start} on synthetic phantoms") as progress:
        figures_by_limb = fine_tune(
            models.load(settings, start),
            version,
            settings.model_store_url,
            source=phantom_source(settings, difficulty, progress),
            n_patients=patients,
            test_joints=test_joints,
            epochs=epochs,
            work_dir=settings.var_dir / "training" / version,
            code_revision=settings.revision,
        )
    rows = [_limb_row(found) for found in figures_by_limb]
    show(Table("limbs", f"{version}; {SYNTHETIC}", rows), as_json=as_json)


@click.command("retrain")
@click.option("--recipe", "recipes", multiple=True, required=True, help="Recipe of a candidate. May be repeated.")
@click.option("--cut-off", type=BatchDate(), help="Newest batch to include; default: the latest.")
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

    Compares the best candidate with the champion, and prints the comparison. Promotes nothing unless --approve is
    given.

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


def _limb_row(found: "LimbFigures") -> dict[str, Any]:
    """Return the measures of one limb before and after, with 95 % intervals over patients."""
    row: dict[str, Any] = {"limb": found.limb.replace("_", " "), "joints": found.before.n}
    evaluations = (("before", found.before), ("after", found.after))
    for measure, heading in (
        ("class_normalized_accuracy", "class-norm. accuracy"),
        ("quadratic_weighted_kappa", "QWK"),
    ):
        for when, evaluation in evaluations:
            limits = format_interval(list(evaluation.patient_intervals[measure]))
            row[f"{heading}, {when}"] = f"{evaluation.measures[measure]:.3f} ({limits})"
    return row | {f"CRPS, {when}": round(evaluation.measures["crps"], 4) for when, evaluation in evaluations}
