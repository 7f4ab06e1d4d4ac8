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
    """Promote a model of the store.

    It becomes the champion once the history is rescored, or at once if every image already has its prediction. To undo
    a promotion, promote the former model.

    Example: scoring promote phantom-3 --reason "QWK .81 against .76 on the frozen set"
    """
    shown = models.promote(get_settings(), version=version, promoted_by=getpass.getuser(), reason=reason)
    if shown is None:
        click.echo(f"{version} is the champion: the views show it, and nightly runs score with it.")
    else:
        click.echo(
            f"{version} is promoted. Run `scoring rescore` to rescore the history; until then views show {shown}."
        )


@click.command("rescore")
@click.option("--accept-missing", is_flag=True, help="Continue without images whose files are missing or changed.")
def rescore_command(accept_missing: bool) -> None:
    """Score the history with the promoted model.

    The model then becomes the champion. Resumes where it was stopped. Until it is complete, the views show the former
    champion. The comparison of the two models is in analyst.model_comparison. Prints one line of JSON.

    Example: scoring rescore
    """
    with progress_bar("rescoring the history") as progress:
        counts = rescoring.rescore(
            get_settings(), accept_missing=accept_missing, triggered_by=getpass.getuser(), progress=progress
        )
    click.echo(json.dumps(counts))
