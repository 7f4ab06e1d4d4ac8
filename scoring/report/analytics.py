"""The analytics report: damage against activity, correlation over time, progression, and one patient over time.

The data come from the views of schema analyst. The report is one self-contained HTML file; each figure is also a file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from scoring.clinical.rau import HUMAN_SDC
from scoring.report import progression_figures
from scoring.report.figure_style import ACTIVITY_LABELS, DAMAGE_LABELS, DAS28_FORMS, SMOOTHER_SPAN, standalone
from scoring.report.formatting import signed, thousands
from scoring.report.html import render


@dataclass(frozen=True, eq=False)
class AnalyticsReport:
    """Content of the analytics report.

    Attributes:
        written_on: Date of the report.
        model_version: The champion; "" before the first.
        trained_on_synthetic: True if the champion was trained on phantoms.
        synthetic_data: True if records of the warehouse are phantoms.
        points: Columns activity (DAS28 form), das28, damage, rau; one row per visit, form and kind of Rau score.
        correlation: Rows of `analyst.correlation` for all dates.
        changes: Columns damage, change (of the Rau score between consecutive radiographs of a patient, in points).
        patient_id: Patient whose scores are shown; "" for none.
        scores: Columns visit_date, reported_rau, rau_expected, rau_q05, rau_q95 of this patient.
        activity: Columns visit_date and the DAS28 forms of this patient.
        forecast: Columns damage, forecast_date, rau_expected, rau_q05, rau_q95 of this patient.
    """

    written_on: date
    model_version: str
    trained_on_synthetic: bool
    synthetic_data: bool
    points: pd.DataFrame
    correlation: pd.DataFrame
    changes: pd.DataFrame
    patient_id: str
    scores: pd.DataFrame
    activity: pd.DataFrame
    forecast: pd.DataFrame

    def mark(self, *damages: str) -> str:
        """Return the note on the origin of the data for a figure of these kinds of damage."""
        if self.synthetic_data:
            return "Synthetic data"
        return "Model trained on synthetic phantoms" if self.trained_on_synthetic and "predicted_rau" in damages else ""


class _Figure(NamedTuple):
    name: str
    section: str
    caption: str
    mark: str
    svg: str


def render_analytics(report: AnalyticsReport) -> tuple[str, dict[str, str]]:
    """Render the analytics report. The same report gives the same bytes.

    A figure without data is left out, and the report says so.

    Returns:
        The HTML document, and its figures as SVG documents by file name.
    """
    figures = list(_figures(report))
    html = render(
        "analytics.html",
        report=report,
        figures=figures,
        sdc=f"{HUMAN_SDC:g}",
        smoother_span=f"{100 * SMOOTHER_SPAN:g}",
        progression=_progression(report.changes),
        progression_mark=report.mark(*report.changes["damage"].unique()),
    )
    return html, {f"{figure.name}.svg".replace("_", "-"): standalone(figure.svg) for figure in figures}


def _figures(report: AnalyticsReport) -> Iterator[_Figure]:
    n_visits = report.points.groupby(["activity", "damage"]).size()
    for form, damage in product(DAS28_FORMS, DAMAGE_LABELS):
        if (form, damage) in n_visits.index:
            mark = report.mark(damage)
            caption = f"Rau score {DAMAGE_LABELS[damage]}, {thousands(n_visits[form, damage])} visits."
            svg = progression_figures.rau_and_das28(report.points, form, damage, mark)
            yield _Figure(f"scatter-{damage}-{form}", "das28", caption, mark, svg)

    mark = report.mark(*DAMAGE_LABELS)
    # The view suppresses estimates of few patients, to protect their privacy.
    shown = report.correlation.dropna(subset=["estimate"])
    n_dates = shown.groupby("activity")["as_of"].nunique()
    for form in DAS28_FORMS:
        if form in n_dates.index:
            caption = f"{ACTIVITY_LABELS[form]}, {thousands(n_dates[form])} dates."
            svg = progression_figures.correlation_over_time(shown, form, mark)
            yield _Figure(f"correlation-{form}", "over-time", caption, mark, svg)

    if len(report.changes):
        caption = f"{thousands(len(report.changes))} pairs of consecutive radiographs."
        mark_of_changes = report.mark(*report.changes["damage"].unique())
        svg = progression_figures.progression_waterfall(report.changes, mark_of_changes)
        yield _Figure("progression", "progression", caption, mark_of_changes, svg)

    if len(report.scores):
        caption = f"Patient {report.patient_id}, {thousands(len(report.scores))} visits with a score."
        svg = progression_figures.patient_timeline(report.scores, report.activity, report.forecast, mark)
        yield _Figure("timeline", "patient", caption, mark, svg)


def _progression(changes: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "label": DAMAGE_LABELS[str(damage)],
            "n": thousands(len(found)),
            "above": f"{100 * (found > HUMAN_SDC).mean():.0f} %",
            "below": f"{100 * (found < -HUMAN_SDC).mean():.0f} %",
            "median": signed(found.median(), digits=1),
        }
        for damage, found in changes.groupby("damage")["change"]
    ]
