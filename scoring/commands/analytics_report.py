"""Write the analytics report and its figures from the views of schema analyst."""

from datetime import date
from typing import TYPE_CHECKING

from scoring.errors import InvalidRequest
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from scoring.report.analytics import AnalyticsReport


def write(settings: Settings, written_on: date, patient_id: str | None) -> list[str]:
    """Write the analytics report and its figures into the folder `analytics` of the reports.

    Args:
        settings: Settings of the installation.
        written_on: Date of the report.
        patient_id: Patient to show; None for the patient with the longest follow-up.

    Returns:
        URLs of the HTML report and its figures.

    Raises:
        InvalidRequest: The patient has no Rau score.
    """
    from upath import UPath

    from scoring.report.analytics import render_analytics
    from scoring.report.html import write_document

    html, figures = render_analytics(_report(settings, written_on, patient_id))
    folder = UPath(settings.report_url) / "analytics"
    documents = {str(folder / name): text for name, text in {"analytics.html": html, **figures}.items()}
    for url, text in documents.items():
        write_document(text, url)
    return list(documents)


def _report(settings: Settings, written_on: date, patient_id: str | None) -> "AnalyticsReport":
    from upath import UPath

    from scoring.contract import SYNTHETIC_MARKER
    from scoring.report.analytics import AnalyticsReport
    from scoring.warehouse import migrate
    from scoring.warehouse.engine import snapshot
    from scoring.warehouse.queries import analytics_report, models

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    with snapshot(engine) as connection:
        champion = models.champion(connection)
        chosen = patient_id or analytics_report.longest_followed(connection) or ""
        of_patient = analytics_report.of_patient(connection, chosen)
        if patient_id and of_patient["scores"].empty:
            raise InvalidRequest(
                f"Patient {patient_id} has no Rau score. Choose a patient from the view analyst.rau_by_visit."
            )
        return AnalyticsReport(
            written_on=written_on,
            model_version=champion["model_version"] if champion else "",
            trained_on_synthetic=champion is None or champion["trained_on_synthetic"],
            synthetic_data=any(UPath(settings.landing_url).glob(f"*/{SYNTHETIC_MARKER}")),
            points=analytics_report.rau_and_das28(connection),
            correlation=analytics_report.correlation_over_time(connection),
            changes=analytics_report.changes_between_radiographs(connection),
            patient_id=chosen,
            **of_patient,
        )
