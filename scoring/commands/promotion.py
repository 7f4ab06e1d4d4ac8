"""Commands that change the champion: promote, rescore."""

import getpass
import json

import click

from scoring.commands.console import progress_bar
from scoring.pipeline import models, rescoring
from scoring.settings import get_settings


@click.command("promote")
@click.argument("version")
@click.option("--reason", required=True, help="Why this model becomes the champion; kept with the promotion.")
def promote_command(version: str, reason: str) -> None:
    """Promote a model of the model store.

    The model becomes the champion, which nightly runs use, when `scoring rescore` ends. If it has already scored every
    image, it becomes the champion immediately. To undo a promotion, promote the previous model.

    Example: scoring promote phantom-3 --reason "QWK .81 against .76 on the frozen set"
    """
    shown = models.promote(get_settings(), version=version, promoted_by=getpass.getuser(), reason=reason)
    if shown is None:
        click.echo(f"{version} is the champion: the views show it, and nightly runs score with it.")
    else:
        click.echo(
            f"{version} is promoted. Run `scoring rescore` to make it the champion; until then the views show {shown}."
        )


@click.command("rescore")
@click.option("--accept-missing", is_flag=True, help="Continue without images whose files are missing or changed.")
def rescore_command(accept_missing: bool) -> None:
    """Rescore all earlier images with the promoted model.

    The model then becomes the champion; until then, the views show the previous one. The view analyst.model_comparison
    compares the two models. An interrupted rescoring resumes where it stopped. Prints one line of JSON.

    Example: scoring rescore
    """
    with progress_bar("rescoring the history") as progress:
        counts = rescoring.rescore(
            get_settings(), accept_missing=accept_missing, triggered_by=getpass.getuser(), progress=progress
        )
    click.echo(json.dumps(counts))
