"""Refresh the correlation of joint damage with disease activity as of a date."""

from datetime import date
from typing import TYPE_CHECKING
from uuid import uuid4

from scoring.pipeline import installation, models
from scoring.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def refresh(settings: Settings, as_of: date, model_version: str, run_id: str) -> int:
    """Compute and publish the correlations as of a date.

    When an old night is filled in, the newest date is refreshed too: it is what analysts look at, and it lacked that
    night. The dates between stay as they were; `scoring correlate` refreshes one of them.

    Returns:
        Number of visits that have both damage and activity as of the date.
    """
    from scoring.warehouse import analytics, runs
    from scoring.warehouse.engine import transaction

    with transaction(installation.warehouse(settings)) as connection:
        runs.publish_lock(connection)
        newest = analytics.newest_as_of(connection, model_version) or as_of
        days = {as_of, max(as_of, newest)}
        n_visits = {day: publish_as_of(connection, day, model_version, run_id) for day in days}
    return n_visits[as_of]


def publish_as_of(connection: "Connection", as_of: date, model_version: str, run_id: str) -> int:
    """Compute and write the correlations as of one date, in the caller's publishing transaction.

    Returns:
        Number of visits that have both damage and activity.
    """
    from scoring.analysis.correlation import correlate
    from scoring.warehouse import analytics

    visits = analytics.visits_for_correlation(connection, as_of, model_version)
    analytics.publish_correlation(connection, as_of, model_version, run_id, correlate(visits))
    return len(visits)


def refresh_by_hand(settings: Settings, as_of: date, triggered_by: str) -> list[dict[str, object]]:
    """The same outside a night, as a run of its own. Returns the table as rows."""
    from scoring.warehouse import migrate, reads, runs

    engine = installation.warehouse(settings)
    migrate.check_current(engine)
    model = models.champion(settings)
    run_id = str(uuid4())
    runs.open_run(
        engine,
        run_id,
        as_of,
        trigger="cli",
        triggered_by=triggered_by,
        code_revision=settings.revision,
        model_version=model.version,
        job="correlate",
    )
    refresh(settings, as_of, model.version, run_id)
    runs.close_run(engine, run_id, "succeeded")
    table = reads.correlation_table(engine, as_of, model.version)
    shown = ["damage", "activity", "method", "estimate", "ci_low", "ci_high", "n_visits", "n_patients"]
    return [
        {column: round(row[column], 3) if isinstance(row[column], float) else row[column] for column in shown}
        for row in table.to_dict("records")
    ]
