"""Commands about the relation of damage and activity: correlate, associate, figures."""

import getpass
from datetime import date
from math import isnan
from typing import TYPE_CHECKING

import click

from scoring.commands import analytics_report
from scoring.commands.console import BatchDate, Table, json_option, show
from scoring.pipeline import analytics, models
from scoring.pipeline.run import begin, finish
from scoring.settings import Settings, get_settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    import pandas as pd

JOB = "correlate"


@click.command("correlate")
@click.option("--as-of", required=True, type=BatchDate(), help="Newest batch to include.")
@json_option
def correlate_command(as_of: date, as_json: bool) -> None:
    """Correlate Rau scores with disease activity.

    Refreshes the correlations in the warehouse and prints them.

    Example: scoring correlate --as-of 2026-11-21
    """
    rows = correlate(get_settings(), as_of, getpass.getuser())
    show(Table("correlation", f"Correlation as of {as_of}", rows), as_json=as_json)


@click.command("associate")
@click.option("--as-of", required=True, type=BatchDate(), help="Newest batch to include.")
@click.option(
    "--by",
    "stratum_kind",
    default="overall",
    show_default=True,
    type=click.Choice(["overall", "year", "severity"]),
    help="Strata to print.",
)
@json_option
def associate_command(as_of: date, stratum_kind: str, as_json: bool) -> None:
    """Associate damage with disease activity over time.

    Refreshes the associations in the warehouse and prints them. The view analyst.association explains the columns; q
    values are p values adjusted for multiple testing.

    Example: scoring associate --as-of 2026-11-21 --by severity
    """
    rows = associate(get_settings(), as_of, stratum_kind, getpass.getuser())
    show(Table("association", f"Association as of {as_of}", rows), as_json=as_json)


@click.command("figures")
@click.option("--patient", help="Patient to draw; default: the patient with the longest follow-up.")
def figures_command(patient: str | None) -> None:
    """Draw damage, activity, progression and one patient.

    The figures use only the views of schema analyst. Prints the paths of the HTML report and its figures.

    Example: scoring figures --patient 00042
    """
    for path in analytics_report.write(get_settings(), date.today(), patient):  # noqa: DTZ011 - the user's own calendar
        click.echo(path)


def correlate(settings: Settings, as_of: date, triggered_by: str) -> list[dict[str, object]]:
    """Refresh the correlations as a run of their own. Returns them as rows."""
    from scoring.warehouse.queries import nightly_report

    model_version = _refresh(settings, as_of, triggered_by)
    with connect.transaction(settings) as connection:
        table = nightly_report.correlation_table(connection, as_of, model_version)
    return _rows(table, ["damage", "activity", "method", "estimate", "ci_low", "ci_high", "n_visits", "n_patients"])


def associate(settings: Settings, as_of: date, stratum_kind: str, triggered_by: str) -> list[dict[str, object]]:
    """Refresh the associations as a run of their own. Returns those of one kind of strata as rows."""
    from scoring.warehouse.queries import analysis

    model_version = _refresh(settings, as_of, triggered_by)
    with connect.transaction(settings) as connection:
        table = analysis.association_table(connection, as_of, model_version, stratum_kind)
    columns = ["damage", "activity", "relation", "lag_window", "method", "stratum", "estimate", "ci_low", "ci_high"]
    return _rows(table, [*columns, "q_value", "n_observations", "n_patients"])


def _refresh(settings: Settings, as_of: date, triggered_by: str) -> str:
    """Refresh correlations and associations. Returns the version of the champion, whose scores were used."""
    from scoring.warehouse import migrate

    migrate.check_current(connect.warehouse(settings))
    model = models.champion(settings)
    run = begin(settings, JOB, as_of, model, trigger="cli", triggered_by=triggered_by)
    analytics.refresh(settings, as_of, model.version, run.run_id, forecasts=False)
    finish(settings, run, (), summary="")
    return model.version


def _rows(table: "pd.DataFrame", columns: list[str]) -> list[dict[str, object]]:
    return [{column: _cell(column, row[column]) for column in columns} for row in table.to_dict("records")]


def _cell(column: str, value: object) -> object:
    """Return counts as integers, figures with three digits, and None for NaN."""
    if not isinstance(value, float):
        return value
    if isnan(value):
        return None
    return round(value) if column.startswith("n_") else round(value, 3)
