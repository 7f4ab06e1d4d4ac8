"""The command backtest: how well would the forecasts have worked so far?"""

import logging
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from scoring.commands.console import BatchDate, Table, json_option, show
from scoring.errors import InvalidRequest
from scoring.settings import Settings, get_settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    import pandas as pd

    from scoring.analysis.backtest import BackTest

log = logging.getLogger(__name__)

DAMAGES = {"reported_rau": "Rau reported by readers", "predicted_rau": "predicted Rau"}


@click.command("backtest")
@click.option("--as-of", type=BatchDate(), help="Newest batch to include; default: the latest.")
@click.option("--synthetic", is_flag=True, help="Use a simulated registry instead of the warehouse.")
@click.option("--patients", default=1500, show_default=True, type=click.IntRange(1, 99_999), help="Simulated patients.")
@click.option("--years", default=10.0, show_default=True, type=click.FloatRange(1, 50), help="Simulated years.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Seed of the simulation.")
@json_option
def backtest_command(  # noqa: PLR0917 - click passes options by name
    as_of: date | None, synthetic: bool, patients: int, years: float, seed: int, as_json: bool
) -> None:
    """Test the forecasts on each patient's last radiograph.

    Forecasts the last score from the patient's earlier ones with models fitted to other patients, and compares the
    errors with those of simpler methods.

    Example: scoring backtest --synthetic
    """
    if synthetic:
        tables = back_test_synthetic(patients=patients, years=years, seed=seed)
    else:
        tables = back_test(get_settings(), as_of)
    show(*tables, as_json=as_json)


def back_test(settings: Settings, as_of: date | None) -> list[Table]:
    """Back-test the series of reported and of predicted scores in the warehouse.

    Args:
        settings: Settings of the installation.
        as_of: Newest batch whose records are used; None for all.

    Raises:
        InvalidRequest: No series has enough patients with two scores.
    """
    from scoring.analysis.backtest import back_test as test_forecasts
    from scoring.analysis.progression import TooFewPatients
    from scoring.warehouse import migrate
    from scoring.warehouse.queries import analysis, models

    migrate.check_current(connect.warehouse(settings))
    with connect.transaction(settings) as connection:
        champion = models.champion(connection)
        series = analysis.series(connection, as_of or date.max, champion["model_version"] if champion else "")
    is_synthetic = champion is None or champion["trained_on_synthetic"]
    synthetic = " (model trained on synthetic phantoms)" if is_synthetic else ""
    tables, reasons = [], []
    for damage, label in DAMAGES.items():
        try:
            found = test_forecasts(series[series["damage"] == damage])
        except TooFewPatients as few:
            reasons.append(f"{label}: {few}")
            continue
        tables += _tables(found, damage, label + (synthetic if damage == "predicted_rau" else ""))
    if not tables:
        raise InvalidRequest(f"The forecasts cannot be tested: {'; '.join(reasons)}. Use --synthetic.")
    for reason in reasons:
        log.warning("no_back_test reason=%s", reason)
    return tables


def back_test_synthetic(*, patients: int, years: float, seed: int) -> list[Table]:
    """Back-test the readings of a simulated registry, in which erosions never heal.

    Raises:
        InvalidRequest: Too few patients have two radiographs.
    """
    from scoring.analysis.backtest import back_test as test_forecasts
    from scoring.analysis.progression import TooFewPatients
    from scoring.phantom.registry import simulate_registry

    consultations = simulate_registry(patients, seed, date(2014, 1, 1), years).consultations
    scores = consultations.rename(columns={"date_x": "visit_date", "rau_score": "rau"}).dropna(subset=["rau"])
    try:
        found = test_forecasts(scores.assign(rau_sd=0.0, n_scored=float("nan")))
    except TooFewPatients as few:
        raise InvalidRequest(f"The forecasts cannot be tested: {few}. Simulate more patients.") from few
    return _tables(found, "synthetic", f"SYNTHETIC readings of {patients} simulated patients over {years:g} years")


def _tables(found: "BackTest", key: str, label: str) -> list[Table]:
    from scoring.clinical.rau import HUMAN_SDC

    title = (
        f"{label}: last score of {found.n_patients} patients, forecast from {found.n_radiographs} earlier scores; "
        f"{100 * found.share_beyond:.0f} % rose by more than {HUMAN_SDC:g} points. Errors and widths in points"
    )
    difference = "Progression model minus other method; negative is better; 95 % intervals over patients"
    return [
        Table(f"{key}_errors", title, _rounded(found.figures)),
        Table(f"{key}_differences", difference, _rounded(found.differences)),
    ]


def _rounded(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.round(3).to_dict("records")]
