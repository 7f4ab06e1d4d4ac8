"""Forecast the Rau score of each patient's next film, and say how well that would have worked so far."""

import logging
from datetime import date
from typing import TYPE_CHECKING, Any

from scoring.errors import InvalidRequest
from scoring.pipeline import installation
from scoring.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Connection

    from scoring.analysis.backtest import BackTest

log = logging.getLogger(__name__)

DAMAGES = {"reported_rau": "Rau reported by readers", "predicted_rau": "predicted Rau"}
HORIZON_MONTHS = 12

Tables = list[tuple[str, list[dict[str, Any]]]]
"""Tables to print: title and rows of equal keys."""


def refresh(settings: Settings, as_of: date, model_version: str, run_id: str) -> int:
    """Compute and publish the forecasts as of a date, and as of the newest date if an old night is filled in.

    Returns:
        Number of forecasts as of the date.
    """
    from scoring.warehouse import analytics, runs
    from scoring.warehouse.engine import transaction

    with transaction(installation.warehouse(settings)) as connection:
        runs.publish_lock(connection)
        newest = analytics.newest_as_of(connection, model_version) or as_of
        days = {as_of, max(as_of, newest)}
        n_forecasts = {day: publish_as_of(connection, day, model_version, run_id) for day in days}
    return n_forecasts[as_of]


def publish_as_of(connection: "Connection", as_of: date, model_version: str, run_id: str) -> int:
    """Compute and write the forecasts as of one date, in the caller's publishing transaction.

    A series with fewer than 30 patients who have two films has no model, and nobody gets a forecast from it.

    Returns:
        Number of forecasts.
    """
    import pandas as pd

    from scoring.analysis.course import TooFewPatients
    from scoring.warehouse import course

    series = course.series(connection, as_of, model_version)
    frames = [pd.DataFrame(columns=["damage", "patient_id", "horizon_months"])]
    for damage in DAMAGES:
        try:
            frames.append(_forecasts(series[series["damage"] == damage], damage))
        except TooFewPatients as few:
            log.info("no_forecast as_of=%s damage=%s reason=%s", as_of, damage, few)
    frame = frames[0] if len(frames) == 1 else pd.concat(frames[1:], ignore_index=True)
    counts = course.publish_forecast(connection, as_of, model_version, run_id, frame)
    log.info("forecasts_published as_of=%s model=%s counts=%s", as_of, model_version, counts)
    return len(frame)


def _forecasts(films: "pd.DataFrame", damage: str) -> "pd.DataFrame":
    from scoring.analysis import course

    model = course.fit(films)
    found = course.forecast(model, films)
    # Digits that mean nothing would make a repeated night look like a change.
    figures = dict.fromkeys(found.select_dtypes("float64").columns, 6)
    return found.round(figures).assign(damage=damage, horizon_months=HORIZON_MONTHS, n_patients=model.n_patients)


def back_test(settings: Settings, as_of: date | None) -> Tables:
    """Forecast the last film of each patient of the warehouse from the films before, reported and predicted.

    Args:
        settings: The installation.
        as_of: Landing folder up to which records count; None for all.

    Raises:
        InvalidRequest: No series has enough patients with two films.
    """
    from scoring.analysis.backtest import back_test
    from scoring.analysis.course import TooFewPatients
    from scoring.warehouse import course, migrate, views
    from scoring.warehouse.engine import transaction

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    champion = views.champion(engine)
    with transaction(engine) as connection:
        series = course.series(connection, as_of or date.max, champion.get("model_version", ""))
    synthetic = " (model trained on synthetic phantoms)" if champion.get("trained_on_synthetic", True) else ""
    tables, reasons = [], []
    for damage, label in DAMAGES.items():
        try:
            found = back_test(series[series["damage"] == damage])
        except TooFewPatients as few:
            reasons.append(f"{label}: {few}")
            continue
        tables += _tables(found, label + (synthetic if damage == "predicted_rau" else ""))
    if not tables:
        raise InvalidRequest(f"There is nothing to test the forecasts on. {'; '.join(reasons)}.")
    for reason in reasons:
        log.warning("no_back_test reason=%s", reason)
    return tables


def back_test_synthetic(*, patients: int, years: float, seed: int) -> Tables:
    """The same on the readings of a simulated registry, whose erosions are known never to heal.

    Raises:
        InvalidRequest: Too few patients have two films.
    """
    from scoring.analysis.backtest import back_test
    from scoring.analysis.course import TooFewPatients
    from scoring.phantom.registry import simulate_registry

    consultations = simulate_registry(patients, seed, date(2014, 1, 1), years).consultations
    films = consultations.rename(columns={"date_x": "visit_date", "rau_score": "rau"}).dropna(subset=["rau"])
    try:
        found = back_test(films.assign(rau_sd=0.0, n_scored=float("nan")))
    except TooFewPatients as few:
        raise InvalidRequest(f"There is nothing to test the forecasts on: {few}; simulate more patients.") from few
    return _tables(found, f"SYNTHETIC readings of {patients} simulated patients over {years:g} years")


def _tables(found: "BackTest", label: str) -> Tables:
    title = (
        f"{label}: last film of {found.n_patients} patients, forecast from {found.n_films} films before; "
        f"{100 * found.share_beyond:.0f} % rose by more than 6.3 points"
    )
    return [
        (f"{title}. Errors and widths in points", _rounded(found.figures)),
        ("Course minus the other method, below 0 is better; 95 % interval by patients", _rounded(found.differences)),
    ]


def _rounded(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.round(3).to_dict("records")]
