"""Commands about batches: nightly, pending, status, report."""

import getpass
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from scoring.commands.console import BatchDate, Table, json_option, progress_bar, show
from scoring.errors import InvalidRequest
from scoring.pipeline import nightly, nightly_report
from scoring.settings import Settings, get_settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from scoring.warehouse.queries.models import PromotedModel


@click.command("nightly")
@click.option("--date", "dates", multiple=True, required=True, type=BatchDate(), help="Batch date. May be repeated.")
def nightly_command(dates: tuple[date, ...]) -> None:
    """Run the nightly job for one or more batches.

    Runs the same steps as the DAG nightly_scoring. Prints one line of JSON per batch.

    Example: scoring nightly --date 2026-11-21
    """
    settings = get_settings()
    for batch_date in dates:
        with progress_bar(f"batch {batch_date}") as progress:
            counts = nightly.run_batch(settings, batch_date, triggered_by=getpass.getuser(), progress=progress)
        click.echo(json.dumps({"batch_date": batch_date.isoformat(), **counts}))


@click.command("pending")
def pending_command() -> None:
    """List complete batches that have not run yet.

    Prints one date per line, oldest first. If all batches have run, prints the newest one.

    Example: for date in $(scoring pending); do scoring nightly --date $date; done
    """
    for batch_date in pending(get_settings()):
        click.echo(batch_date.isoformat())


@click.command("status")
@click.option("--checksum", is_flag=True, help="Also show a checksum per table; repeating a run does not change it.")
@click.option("--runs", default=10, show_default=True, type=click.IntRange(1), help="Number of runs to show.")
@json_option
def status_command(checksum: bool, runs: int, as_json: bool) -> None:
    """Show recent runs, the champion and the newest report.

    Example: scoring status --checksum
    """
    settings = get_settings()
    migrated = _migrated_warehouse(settings)
    rows, messages = _last_runs(migrated, runs)
    tables = [Table("runs", "Nightly runs", rows)]
    if checksum:
        tables.append(Table("checksums", "Checksums of the data tables", _checksums(migrated)))
    values = messages | _models(migrated)
    if rows:
        values["report"] = _report_location(settings, rows[-1]["batch_date"])
    show(*tables, as_json=as_json, **values, psql=connect.psql_line(settings))


@click.command("report")
@click.option("--date", "batch_date", required=True, type=BatchDate(), help="Batch date.")
def report_command(batch_date: date) -> None:
    """Rewrite the nightly report of a batch.

    Uses the warehouse and the staged files of the batch's last run. Prints the path of the report.

    Example: scoring report --date 2026-11-21
    """
    click.echo(rewrite_report(get_settings(), batch_date))


def pending(settings: Settings) -> list[date]:
    """Return complete batches without a successful run, oldest first; if there are none, the newest batch."""
    from scoring.landing.layout import closed_batches
    from scoring.warehouse.queries import runs

    done = runs.succeeded_batches(_migrated_warehouse(settings))
    closed = closed_batches(settings.landing_url, settings.success_marker)
    return [batch for batch in closed if batch not in done] or closed[-1:]


def rewrite_report(settings: Settings, batch_date: date) -> str:
    """Write the report of a batch's last closed run again. Returns its URL.

    Raises:
        InvalidRequest: The batch has no run.
    """
    from scoring.warehouse.queries import runs

    last = runs.last_closed_run(connect.warehouse(settings), batch_date)
    if last is None:
        raise InvalidRequest(f"Batch {batch_date} has not run. Run `scoring nightly --date {batch_date}`.")
    run_id, message = last
    return nightly_report.write(settings, run_id, [message] if message else [])


def _migrated_warehouse(settings: Settings) -> "Engine":
    from scoring.warehouse import migrate

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    return engine


def _last_runs(engine: "Engine", limit: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the last runs, and the messages of batches whose last run failed, by date."""
    from scoring.warehouse.queries import runs

    rows = [
        {str(name): value for name, value in row.items()} for row in runs.recent_runs(engine, limit).to_dict("records")
    ]
    messages = {f"{row['batch_date']}": row.pop("message") for row in rows}
    return rows, {batch: message for batch, message in messages.items() if message}


def _checksums(engine: "Engine") -> list[dict[str, Any]]:
    from scoring.warehouse.queries import checksum

    found = checksum.checksums(engine)
    return [{"table": table, "rows": rows, "checksum": md5[:12]} for table, (rows, md5) in found.items()]


def _report_location(settings: Settings, batch_date: date) -> str:
    from upath import UPath

    newest = nightly_report.location(settings, batch_date)
    return newest if UPath(newest).exists() else "not written yet"


def _models(engine: "Engine") -> dict[str, str]:
    """Describe the champion, another promoted model if there is one, and how many images wait for it."""
    from scoring.warehouse.engine import transaction
    from scoring.warehouse.queries import models, rescoring

    with transaction(engine) as connection:
        champion, promoted = models.champion(connection), models.promoted(connection)
        if champion is None or promoted is None:
            return {"champion": "none yet; the first run promotes the shipped model"}
        n_waiting = rescoring.n_waiting(connection, promoted["model_version"])
        n_rejected = rescoring.n_waiting_rejected(connection, promoted["model_version"])
    values = {"champion": _describe(champion)}
    if promoted["model_version"] != champion["model_version"]:
        values["promoted"] = _describe(promoted)
    if n_waiting or "promoted" in values:
        rejected = f", {n_rejected} of them with missing or changed files" if n_rejected else ""
        values["waiting"] = f"{n_waiting} images for {promoted['model_version']}{rejected}: run `scoring rescore`"
    return values


def _describe(model: "PromotedModel") -> str:
    synthetic = " (trained on synthetic phantoms, not for clinical use)" if model["trained_on_synthetic"] else ""
    return f"{model['model_version']}{synthetic}, promoted {model['promoted_at']:%Y-%m-%d}: {model['reason']}"
