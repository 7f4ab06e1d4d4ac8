"""Publish correlations, associations and forecasts as of a date."""

import logging
from datetime import date
from typing import TYPE_CHECKING

from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Connection

log = logging.getLogger(__name__)

DAMAGES = ("reported_rau", "predicted_rau")
"""Measures of joint damage: Rau scores reported by readers, and those predicted by the model."""

HORIZON_MONTHS = 12
"""A forecast is made for this many months after a patient's last radiograph."""


def refresh(settings: Settings, as_of: date, model_version: str, run_id: str, *, forecasts: bool) -> int:
    """Publish the analytics as of a date, in one transaction.

    If `as_of` is not the newest date with analytics, those of the newest date are refreshed too: analysts look at
    these, and they lacked the batch that was filled in. Dates in between keep their values; `scoring correlate`
    refreshes one of them.

    Args:
        settings: Settings of the installation.
        as_of: Newest batch whose records are used.
        model_version: Model of the predicted scores.
        run_id: The run that publishes.
        forecasts: Publish forecasts, too.

    Returns:
        Number of visits that have both damage and activity as of the date.
    """
    from scoring.warehouse.publish import runs
    from scoring.warehouse.queries import analysis

    with connect.transaction(settings) as connection:
        runs.publish_lock(connection)
        newest = analysis.newest_as_of(connection, model_version) or as_of
        n_visits = {
            day: publish_as_of(connection, day, model_version, run_id, forecasts=forecasts)
            for day in {as_of, max(as_of, newest)}
        }
    return n_visits[as_of]


def publish_as_of(connection: "Connection", as_of: date, model_version: str, run_id: str, *, forecasts: bool) -> int:
    """Publish the analytics as of one date in the caller's transaction, which holds the publishing lock.

    Returns:
        Number of visits that have both damage and activity.
    """
    from scoring.analysis.association import associate
    from scoring.analysis.correlation import correlate
    from scoring.warehouse.publish import analytics
    from scoring.warehouse.queries import analysis

    visits = analysis.visits_for_correlation(connection, as_of, model_version)
    analytics.publish_correlation(connection, as_of, model_version, run_id, correlate(visits))
    associations = associate(
        analysis.radiographs_as_of(connection, as_of, model_version), analysis.activity_as_of(connection, as_of)
    )
    analytics.publish_association(connection, as_of, model_version, run_id, associations)
    if forecasts:
        publish_forecasts(connection, as_of, model_version, run_id)
    return len(visits)


def publish_forecasts(connection: "Connection", as_of: date, model_version: str, run_id: str) -> int:
    """Publish the forecasts as of one date in the caller's transaction.

    A series with fewer than 30 patients who have two scores has no progression model, and so no forecasts.

    Returns:
        Number of forecasts.
    """
    import pandas as pd

    from scoring.analysis.progression import TooFewPatients
    from scoring.warehouse.publish import analytics
    from scoring.warehouse.queries import analysis

    series = analysis.series(connection, as_of, model_version)
    frames = []
    for damage in DAMAGES:
        try:
            frames.append(_forecasts(series[series["damage"] == damage], damage))
        except TooFewPatients as few:
            log.info("no_forecast as_of=%s damage=%s reason=%s", as_of, damage, few)
    none = pd.DataFrame(columns=["damage", "patient_id", "horizon_months"])
    frame = pd.concat(frames, ignore_index=True) if frames else none
    counts = analytics.publish_forecast(connection, as_of, model_version, run_id, frame)
    log.info("forecasts_published as_of=%s model=%s counts=%s", as_of, model_version, counts)
    return len(frame)


def _forecasts(series: "pd.DataFrame", damage: str) -> "pd.DataFrame":
    from scoring.analysis import progression

    model = progression.fit(series)
    found = progression.forecast(model, series)
    # Rounded, so that noise in the last digits does not make a repeated run look like a change.
    digits = dict.fromkeys(found.select_dtypes("float64").columns, 6)
    return found.round(digits).assign(damage=damage, horizon_months=HORIZON_MONTHS, n_patients=model.n_patients)
