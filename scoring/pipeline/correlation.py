"""Refresh the correlations and associations of joint damage with disease activity as of a date."""

from datetime import date
from math import isnan
from typing import TYPE_CHECKING
from uuid import uuid4

from scoring.pipeline import installation, models
from scoring.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Connection


def refresh(settings: Settings, as_of: date, model_version: str, run_id: str) -> int:
    """Compute and publish the correlations and associations as of a date.

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
    """Compute and write correlations and associations as of one date, in the caller's publishing transaction.

    Returns:
        Number of visits that have both damage and activity.
    """
    from scoring.analysis.association import associate
    from scoring.analysis.correlation import correlate
    from scoring.warehouse import analytics, association

    visits = analytics.visits_for_correlation(connection, as_of, model_version)
    analytics.publish_correlation(connection, as_of, model_version, run_id, correlate(visits))
    found = associate(
        association.films_as_of(connection, as_of, model_version), association.activity_as_of(connection, as_of)
    )
    association.publish_association(connection, as_of, model_version, run_id, found)
    return len(visits)


def correlate_by_hand(settings: Settings, as_of: date, triggered_by: str) -> list[dict[str, object]]:
    """The same outside a night, as a run of its own. Returns the correlations as rows."""
    from scoring.warehouse import reads

    engine = installation.warehouse(settings)
    table = reads.correlation_table(engine, as_of, _refresh_by_hand(settings, as_of, triggered_by))
    return _shown(table, ["damage", "activity", "method", "estimate", "ci_low", "ci_high", "n_visits", "n_patients"])


def associate_by_hand(settings: Settings, as_of: date, stratum_kind: str, triggered_by: str) -> list[dict[str, object]]:
    """The same; returns the associations of one kind of strata as rows."""
    from scoring.warehouse import association

    engine = installation.warehouse(settings)
    model_version = _refresh_by_hand(settings, as_of, triggered_by)
    table = association.association_table(engine, as_of, model_version, stratum_kind)
    columns = ["damage", "activity", "relation", "lag_window", "method", "stratum", "estimate", "ci_low", "ci_high"]
    return _shown(table, [*columns, "q_value", "n_visits", "n_patients"])


def _refresh_by_hand(settings: Settings, as_of: date, triggered_by: str) -> str:
    """Refresh as a run of its own. Returns the champion, for which it was done."""
    from scoring.warehouse import migrate, runs

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
    return model.version


def _shown(table: "pd.DataFrame", columns: list[str]) -> list[dict[str, object]]:
    return [{column: _cell(column, row[column]) for column in columns} for row in table.to_dict("records")]


def _cell(column: str, value: object) -> object:
    """Counts whole, figures to three digits, and nothing where there is none."""
    if not isinstance(value, float):
        return value
    if isnan(value):
        return None
    return round(value) if column.startswith("n_") else round(value, 3)
