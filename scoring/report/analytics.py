"""The page of analytics: damage against activity, its correlation over time, progression, and one patient's course.

The frames come from the views of schema analyst; the page is one self-contained file, as the night's, and its figures
are files of their own beside it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from markupsafe import Markup

from scoring.clinical.rau import HUMAN_SDC
from scoring.report import progression_figures
from scoring.report.formatting import thousands
from scoring.report.html import environment
from scoring.report.model_figures import standalone
from scoring.report.nightly_figures import ACTIVITY_LABELS, DAMAGE_LABELS, DAS28_FORMS, SMOOTHER_SPAN


@dataclass(frozen=True, eq=False)
class AnalyticsReport:
    """What the page of analytics shows.

    Attributes:
        written_on: Day on which it was written.
        model_version: The champion; "" before the first.
        trained_on_synthetic: The champion was trained on phantoms.
        synthetic_data: Records of the warehouse are phantoms.
        points: One row a visit: activity (form of DAS28), das28, damage, rau.
        correlation: Rows of `analyst.correlation` for every date.
        changes: damage, change: of the Rau score between consecutive radiographs of a patient.
        patient_id: Whose course is shown; "" for nobody's.
        scores: His visit_date, reported_rau, rau_expected, rau_q05, rau_q95.
        activity: His visit_date and the forms of DAS28.
        forecast: His damage, forecast_date, rau_expected, rau_q05, rau_q95.
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

    def mark(self, damages: "pd.Series | tuple[str, ...]") -> str:
        """What a figure of these kinds of damage says of its data."""
        if self.synthetic_data:
            return "Synthetic data"
        return (
            "Model trained on synthetic phantoms"
            if self.trained_on_synthetic and "predicted_rau" in set(damages)
            else ""
        )


def render_analytics(report: AnalyticsReport) -> tuple[str, dict[str, str]]:
    """The page of analytics.

    Args:
        report: What there is to show; a figure without data is left out, and the page says so.

    Returns:
        The HTML document, and its figures as SVG documents by file name. The same report gives the same bytes.
    """
    figures = {**_scatter(report), **_over_time(report), **_waterfall(report), **_timeline(report)}
    page = (
        environment()
        .get_template("analytics.html")
        .render(
            report=report,
            damage_labels=DAMAGE_LABELS,
            figures={name: {**figure, "svg": Markup(figure["svg"])} for name, figure in figures.items()},  # noqa: S704 - our own SVG
            sdc=f"{HUMAN_SDC:g}",
            smoother_span=f"{100 * SMOOTHER_SPAN:g}",
            progression=_progression(report.changes),
        )
    )
    return page, {f"{name}.svg": standalone(figure["svg"]) for name, figure in figures.items()}


def _scatter(report: AnalyticsReport) -> dict[str, dict[str, str]]:
    n_visits = report.points.groupby(["activity", "damage"]).size()
    return {
        f"scatter-{damage}-{form}".replace("_", "-"): {
            "svg": progression_figures.rau_and_das28(report.points, form, damage, report.mark((damage,))),
            "caption": f"Rau {DAMAGE_LABELS[damage]}, {thousands(n_visits[form, damage])} visits.",
            "section": "das28",
        }
        for form in DAS28_FORMS
        for damage in DAMAGE_LABELS
        if (form, damage) in n_visits.index
    }


def _over_time(report: AnalyticsReport) -> dict[str, dict[str, str]]:
    # Of few patients the view gives no estimate: it would speak of persons.
    shown = report.correlation.dropna(subset=["estimate"])
    n_dates = shown.groupby("activity")["as_of"].nunique()
    return {
        f"correlation-{form}".replace("_", "-"): {
            "svg": progression_figures.correlation_over_time(shown, form, report.mark(tuple(DAMAGE_LABELS))),
            "caption": f"{ACTIVITY_LABELS[form]}, {thousands(n_dates[form])} dates.",
            "section": "over-time",
        }
        for form in DAS28_FORMS
        if form in n_dates.index
    }


def _waterfall(report: AnalyticsReport) -> dict[str, dict[str, str]]:
    if report.changes.empty:
        return {}
    mark = report.mark(report.changes["damage"])
    return {
        "progression": {
            "svg": progression_figures.progression_waterfall(report.changes, mark),
            "caption": f"{thousands(len(report.changes))} pairs of consecutive radiographs.",
            "section": "progression",
        }
    }


def _timeline(report: AnalyticsReport) -> dict[str, dict[str, str]]:
    if report.scores.empty:
        return {}
    mark = report.mark(tuple(DAMAGE_LABELS))
    return {
        "timeline": {
            "svg": progression_figures.patient_timeline(report.scores, report.activity, report.forecast, mark),
            "caption": f"Patient {report.patient_id}, {thousands(len(report.scores))} visits with a score.",
            "section": "patient",
        }
    }


def _progression(changes: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "label": DAMAGE_LABELS[str(damage)],
            "n": thousands(len(found)),
            "above": f"{100 * (found > HUMAN_SDC).mean():.0f} %",
            "below": f"{100 * (found < -HUMAN_SDC).mean():.0f} %",
            "median": f"{found.median():.1f}".replace("-", "\N{MINUS SIGN}"),
        }
        for damage, found in changes.groupby("damage")["change"]
    ]
