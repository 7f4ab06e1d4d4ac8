"""Write the page of analytics and its figures, from the views of schema analyst alone."""

from datetime import date
from typing import TYPE_CHECKING

from scoring.errors import InvalidRequest
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from scoring.report.analytics import AnalyticsReport


def write(settings: Settings, written_on: date, patient_id: str | None) -> list[str]:
    """Write the page and its figures into the folder `analytics` of the reports.

    Args:
        settings: The installation.
        written_on: Today.
        patient_id: Whose course is shown; None for the patient who was followed longest.

    Returns:
        Where the page and its figures lie.

    Raises:
        InvalidRequest: The patient has no Rau score.
    """
    from upath import UPath

    from scoring.report.analytics import render_analytics
    from scoring.report.html import write_page

    page, figures = render_analytics(_report(settings, written_on, patient_id))
    folder = UPath(settings.report_url) / "analytics"
    written = {str(folder / "analytics.html"): page, **{str(folder / name): svg for name, svg in figures.items()}}
    for place, text in written.items():
        write_page(text, place)
    return list(written)


def _report(settings: Settings, written_on: date, patient_id: str | None) -> "AnalyticsReport":
    from scoring.report.analytics import AnalyticsReport
    from scoring.warehouse import migrate
    from scoring.warehouse.queries import analytics_page

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    champion = analytics_page.champion(engine)
    chosen = patient_id or analytics_page.longest_followed(engine) or ""
    of_patient = analytics_page.of_patient(engine, chosen)
    if patient_id and of_patient["scores"].empty:
        raise InvalidRequest(f"Patient {patient_id} has no Rau score: analyst.rau_by_visit lists who has.")
    return AnalyticsReport(
        written_on=written_on,
        model_version=champion.get("model_version", ""),
        trained_on_synthetic=champion.get("trained_on_synthetic", True),
        synthetic_data=_synthetic(settings),
        points=analytics_page.rau_and_das28(engine),
        correlation=analytics_page.correlation_over_time(engine),
        changes=analytics_page.changes_between_radiographs(engine),
        patient_id=chosen,
        **of_patient,
    )


def _synthetic(settings: Settings) -> bool:
    """Whether any folder of the landing zone carries the mark of `scoring phantom`."""
    from upath import UPath

    from scoring.contract import SYNTHETIC_MARKER

    return any(UPath(settings.landing_url).glob(f"*/{SYNTHETIC_MARKER}"))
