"""The nightly report: one self-contained HTML file from a `NightlyReport`, without scripts and external resources."""

from collections.abc import Hashable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import pandas as pd

from scoring.report import nightly_figures
from scoring.report.figure_style import ACTIVITY_LABELS, DAMAGE_LABELS, DAS28_FORMS, GRADES, MAX_POINTS, SMOOTHER_SPAN
from scoring.report.formatting import DATASET_NAMES, counted, joined, signed, thousands
from scoring.report.html import render
from scoring.report.nightly_data import COLUMNS, NightlyReport

Row = dict[Hashable, Any]

_METHODS: Final = ("spearman", "pearson", "kendall")


def render_nightly_report(report: NightlyReport) -> str:
    """Return the nightly report as HTML. The same report gives the same bytes.

    Styles, figures and images are inside the document, there is no script, and a content security policy forbids
    loading anything.

    Raises:
        ValueError: A joint is not in the catalogue.
    """
    counts = _row_counts(report)
    images = _images(counts)
    return render(
        "nightly.html",
        report=report,
        headline=headline(report),
        tone=tone(report),
        recorded=any(len(getattr(report, name)) for name in COLUMNS),
        row_counts=counts,
        images=images,
        scored_clause=_scored_clause(images),
        late=report.late_files.sort_values("batch_date").to_dict("records"),
        quarantine_rules=_rules(report.quarantine),
        warning_rules=_rules(report.warnings),
        grades=_grades(report),
        scatter=_scatter(report),
        smoother_span=f"{100 * SMOOTHER_SPAN:g}",
        max_points=MAX_POINTS,
        correlation=_correlation(report),
        severe=report.severe_joints.to_dict("records"),
        uncertain=report.uncertain_joints.to_dict("records"),
        data_docs_are_local=_is_local(report.data_docs),
    )


def headline(report: NightlyReport) -> str:
    """Return the result in one sentence: status, joints scored, rows quarantined, reconciliation of the row counts."""
    counts = _row_counts(report)
    status = report.status.capitalize()
    if not counts:
        return f"{status}: the run stopped before it counted any rows, and published nothing."
    reconciliation = _reconciliation_clause(counts)
    if not any(row["received"] for row in counts):
        return f"{status}: the batch folder was empty, so there was nothing to score; {reconciliation}."
    images = _images(counts)
    clauses = [_scored_clause(images), _quarantined_clause(counts), reconciliation]
    if _all_quarantined(images):
        # The first clause has already named the quarantined images.
        others = [row for row in counts if row["dataset"] != "images" and row["quarantined"]]
        clauses[1:2] = [_quarantined_clause(others)] if others else []
    return f"{status}: {'; '.join(clauses)}."


def tone(report: NightlyReport) -> str:
    """Return the colour of the headline: "bad" for a failed run, "good" if joints were scored, else "wait" (check)."""
    counts = _row_counts(report)
    if report.status == "failed" or not all(row["reconciled"] for row in counts):
        return "bad"
    images = _images(counts)
    return "good" if images["scored"] + images["already_scored"] else "wait"


def _row_counts(report: NightlyReport) -> list[Row]:
    """Return the row counts of each dataset, in the order of the report; outcomes that do not apply are 0."""
    counts = report.row_counts.set_index("dataset", drop=False)
    return counts.reindex([name for name in DATASET_NAMES if name in counts.index]).fillna(0).to_dict("records")


def _images(counts: Sequence[Row]) -> Row:
    none: Row = {"received": 0, "scored": 0, "already_scored": 0, "quarantined": 0}
    return next((row for row in counts if row["dataset"] == "images"), none)


def _all_quarantined(images: Row) -> bool:
    return bool(images["received"]) and images["quarantined"] == images["received"]


def _scored_clause(images: Row) -> str:
    scored, already, received = images["scored"], images["already_scored"], images["received"]
    if scored:
        return f"{thousands(scored)} joint{'s' if scored != 1 else ''} scored"
    if _all_quarantined(images):
        return f"no joint scored, {'all ' if received > 1 else ''}{counted(received, 'images')} quarantined"
    if already:
        return f"no new joint scored, {thousands(already)} scored by an earlier run"
    return "no joint scored" if received else "no joint image received"


def _quarantined_clause(counts: Sequence[Row]) -> str:
    parts = [counted(row["quarantined"], row["dataset"]) for row in counts if row["quarantined"]]
    if len(parts) < 2:
        return f"{parts[0] if parts else 'nothing'} quarantined"
    total = sum(row["quarantined"] for row in counts)
    return f"{thousands(total)} rows quarantined ({joined(parts)})"


def _reconciliation_clause(counts: Sequence[Row]) -> str:
    discrepancies = [
        f"{counted(abs(n), row['dataset'])} {'unaccounted for' if n > 0 else 'too many'}"
        for row in counts
        if (n := row["unaccounted_for"])
    ]
    return f"row counts do not reconcile ({joined(discrepancies)})" if discrepancies else "all row counts reconcile"


def _rules(frame: pd.DataFrame) -> list[Row]:
    return frame.sort_values(["n", "rule"], ascending=[False, True], kind="stable").to_dict("records")


def _grades(report: NightlyReport) -> Row | None:
    # A database driver may return dates as timestamps, which are not equal to any date.
    dates = pd.to_datetime(report.grade_distribution["batch_date"]).dt.date
    counts = report.grade_distribution.assign(batch_date=dates)
    current = counts.loc[counts["batch_date"] == report.batch_date].groupby("predicted_grade")["n"].sum()
    if current.sum() == 0:
        return None
    shares = nightly_figures.grade_shares(counts)
    shown = shares.pop(report.batch_date)
    return {
        "figure": nightly_figures.grade_distribution(counts, report.batch_date),
        "rows": [
            (grade, current.get(grade, 0), shown[grade], [batch[grade] for batch in shares.values()])
            for grade in GRADES
        ],
        "total": current.sum(),
        "past": list(shares),
    }


def _scatter(report: NightlyReport) -> list[Row]:
    pairs = report.rau_points.dropna(subset=["das28", "rau"])
    n_visits = pairs.groupby(["activity", "damage"]).size()
    return [
        {
            "label": ACTIVITY_LABELS[form],
            "figure": nightly_figures.rau_against_das28(pairs, form),
            "visits": joined(
                f"{thousands(n_visits[form, damage])} {label}"
                for damage, label in DAMAGE_LABELS.items()
                if (form, damage) in n_visits.index
            ),
        }
        for form in DAS28_FORMS
        if form in n_visits.index
    ]


def _correlation(report: NightlyReport) -> Row | None:
    frame = report.correlation.dropna(subset=["estimate"])
    if frame.empty:
        return None
    parts = dict(iter(frame.groupby(["damage", "activity"])))
    return {
        "groups": {
            label: [
                _correlation_row(activity_label, parts[damage, activity])
                for activity, activity_label in ACTIVITY_LABELS.items()
                if (damage, activity) in parts
            ]
            for damage, label in DAMAGE_LABELS.items()
        },
        "methods": [method.title() for method in _METHODS],
        "confidence": f"{100 * float(frame['confidence'].iloc[0]):g}",
        "figure": nightly_figures.correlation_forest(frame),
        "forest_method": nightly_figures.forest_method(frame).title(),
    }


def _correlation_row(activity: str, frame: pd.DataFrame) -> Row:
    estimates = {
        row["method"]: (
            signed(row["estimate"]),
            "no interval" if pd.isna(row["ci_low"]) else f"{signed(row['ci_low'])} to {signed(row['ci_high'])}",
        )
        for row in frame.to_dict("records")
    }
    return {
        "activity": activity,
        "cells": [estimates.get(method) for method in _METHODS],
        "n_visits": frame["n_visits"].max(),
        "n_patients": frame["n_patients"].max(),
    }


def _is_local(link: str) -> bool:
    """True if the report may link to it: a path, never another host."""
    return urlsplit(link).scheme in {"", "file"} and not link.startswith("//")
