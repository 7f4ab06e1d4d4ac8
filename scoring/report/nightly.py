"""The nightly report: one self-contained HTML file from a `NightlyReport`, without scripts and external resources."""

from collections.abc import Hashable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import pandas as pd
from markupsafe import Markup

from scoring.report import nightly_figures, thumbnail
from scoring.report.figure_style import ACTIVITY_LABELS, DAMAGE_LABELS, GRADES, MAX_POINTS, SMOOTHER_SPAN
from scoring.report.formatting import (
    DASH,
    DATASET_NAMES,
    counted,
    joined,
    joint_term,
    long_date,
    moment,
    percent,
    signed,
    span,
    thousands,
)
from scoring.report.html import environment
from scoring.report.nightly_data import COLUMNS, NightlyReport

Row = dict[Hashable, Any]

MAX_EXAMPLES: Final = 5

_TABLE_OUTCOMES: Final = ("new", "updated", "unchanged", "superseded")
_IMAGE_OUTCOMES: Final = ("scored", "already_scored")
_METHODS: Final = ("spearman", "pearson", "kendall")


def render_nightly_report(report: NightlyReport) -> str:
    """Return the nightly report as HTML.

    Styles, figures and images are inside the document, there is no script, and a content security policy forbids
    loading anything. The same report gives the same bytes.

    Args:
        report: Content of the report.

    Raises:
        ValueError: A joint is not in the catalogue.
    """
    counts = _row_counts(report)
    images = _images(counts)
    return (
        environment()
        .get_template("nightly.html")
        .render(
            report=report,
            long_date=long_date(report.batch_date),
            headline=headline(report),
            tone=tone(report),
            recorded=any(len(getattr(report, name)) for name in COLUMNS),
            row_counts=counts,
            image_outcomes=_IMAGE_OUTCOMES,
            table_outcomes=_TABLE_OUTCOMES,
            nothing_received=not any(row["received"] for row in counts),
            received=thousands(images["received"]),
            scored=thousands(images["scored"]),
            scored_clause=_scored_clause(images),
            quarantined=thousands(sum(row["quarantined"] for row in counts)),
            late=report.late_files.sort_values("batch_date").to_dict("records"),
            n_late=thousands(report.late_files["n"].sum()),
            quarantine_rules=_rules(report.quarantine),
            warning_rules=_rules(report.warnings),
            grades=_grades(report),
            scatter=_scatter(report),
            smoother_span=f"{100 * SMOOTHER_SPAN:g}",
            max_points=MAX_POINTS,
            correlation=_correlation(report),
            severe=_joints(report.severe_joints),
            uncertain=_joints(report.uncertain_joints),
            started=moment(report.started_at),
            finished=moment(report.finished_at) if report.finished_at else None,
            duration=span(report.finished_at - report.started_at) if report.finished_at else None,
            data_docs_href=report.data_docs if _is_local(report.data_docs) else "",
            thousands=thousands,
        )
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
        others = [row for row in counts if row["dataset"] != "images"]
        clauses[1:2] = [_quarantined_clause(others)] if any(row["quarantined"] for row in others) else []
    return f"{status}: {'; '.join(clauses)}."


def tone(report: NightlyReport) -> str:
    """Return the colour of the headline: "bad" for a failed run, "good" if joints were scored, else "wait" (check)."""
    counts = _row_counts(report)
    if report.status == "failed" or not all(row["reconciled"] for row in counts):
        return "bad"
    images = _images(counts)
    return "good" if images["scored"] + images["already_scored"] else "wait"


def _row_counts(report: NightlyReport) -> list[Row]:
    """Return the row counts of each dataset, in the order of the report."""
    datasets = list(DATASET_NAMES)
    rows: list[Row] = [
        {
            **{name: 0 if pd.isna(value) else value for name, value in row.items() if name in COLUMNS["row_counts"]},
            "name": DATASET_NAMES.get(row["dataset"], (row["dataset"],) * 2)[1],
        }
        for row in report.row_counts.to_dict("records")
    ]
    return sorted(rows, key=lambda row: datasets.index(row["dataset"]) if row["dataset"] in datasets else len(datasets))


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
    ordered = frame.sort_values(["n", "rule"], ascending=[False, True], kind="stable")
    return [
        {
            "rule": row["rule"],
            "severity": row["severity"],
            "n": thousands(row["n"]),
            "noun": counted(row["n"], row["dataset"]).partition(" ")[2],
            "reason": row["reason"],
            "remedy": row["remedy"],
            "examples": list(row["examples"])[:MAX_EXAMPLES],
            "more": int(row["n"]) - min(len(list(row["examples"])), MAX_EXAMPLES),
        }
        for row in ordered.to_dict("records")
    ]


def _grades(report: NightlyReport) -> Row | None:
    # A database driver may return dates as timestamps, which are not equal to any date.
    counts = report.grade_distribution.assign(
        batch_date=pd.to_datetime(report.grade_distribution["batch_date"]).dt.date
    )
    current = counts.loc[counts["batch_date"] == report.batch_date].groupby("predicted_grade")["n"].sum()
    if current.sum() == 0:
        return None
    shares = nightly_figures.grade_shares(counts)
    shown = shares.pop(report.batch_date)
    rows = [
        {
            "grade": grade,
            "n": thousands(current.get(grade, 0)),
            "share": percent(shown[grade]),
            "past": _range([batch[grade] for batch in shares.values()]),
        }
        for grade in GRADES
    ]
    return {
        "figure": Markup(nightly_figures.grade_distribution(counts, report.batch_date)),  # noqa: S704 - our own SVG
        "rows": rows,
        "total": thousands(current.sum()),
        "n_past": len(shares),
        "first": min(shares, default=None),
        "last": max(shares, default=None),
    }


def _range(shares: list[float]) -> str:
    return f"{percent(min(shares))} {DASH} {percent(max(shares))}" if shares else DASH


def _scatter(report: NightlyReport) -> list[Row]:
    pairs = report.rau_points.dropna(subset=["das28", "rau"])
    return [
        {
            "label": ACTIVITY_LABELS[form],
            "figure": Markup(nightly_figures.rau_against_das28(pairs, form)),  # noqa: S704 - our own SVG
            "visits": joined(
                f"{thousands(n)} {label}"
                for damage, label in DAMAGE_LABELS.items()
                if (n := ((pairs["activity"] == form) & (pairs["damage"] == damage)).sum())
            ),
        }
        for form in nightly_figures.das28_forms_in_use(pairs)
    ]


def _correlation(report: NightlyReport) -> Row | None:
    frame = report.correlation.dropna(subset=["estimate"])
    frame = frame.loc[frame["activity"].isin(list(ACTIVITY_LABELS))]
    if frame.empty:
        return None
    groups = [
        {
            "label": label,
            "rows": [
                _correlation_row(activity_label, chosen)
                for activity, activity_label in ACTIVITY_LABELS.items()
                if not (chosen := frame.loc[(frame["damage"] == damage) & (frame["activity"] == activity)]).empty
            ],
        }
        for damage, label in DAMAGE_LABELS.items()
    ]
    return {
        "groups": [group for group in groups if group["rows"]],
        "methods": [method.title() for method in _METHODS],
        "confidence": f"{100 * float(frame['confidence'].iloc[0]):g}",
        "figure": Markup(nightly_figures.correlation_forest(frame)),  # noqa: S704 - our own SVG
        "forest_method": nightly_figures.forest_method(frame).title(),
    }


def _correlation_row(activity_label: str, frame: pd.DataFrame) -> Row:
    by_method = {row["method"]: row for row in frame.to_dict("records")}
    return {
        "activity": activity_label,
        "cells": [_estimate(by_method.get(method)) for method in _METHODS],
        "n_visits": thousands(frame["n_visits"].max()),
        "n_patients": thousands(frame["n_patients"].max()),
    }


def _estimate(row: Row | None) -> tuple[str, str] | None:
    if row is None:
        return None
    interval = f"{signed(row['ci_low'])} to {signed(row['ci_high'])}"
    return signed(row["estimate"]), "no interval" if pd.isna(row["ci_low"]) else interval


def _joints(frame: pd.DataFrame) -> list[Row]:
    return [
        {
            "name": joint_term(row["joint"]),
            "sop_iuid": row["sop_iuid"],
            "mean": f"{row['predicted_percent']:.0f}",
            "low": f"{row['predicted_q05']:.0f}",
            "high": f"{row['predicted_q95']:.0f}",
            "bar": (
                round(float(row["predicted_q05"]), 1),
                round(max(float(row["predicted_q95"]) - float(row["predicted_q05"]), 1), 1),
                round(float(row["predicted_percent"]), 1),
            ),
            "grade": int(row["predicted_grade"]),
            "image": thumbnail.data_url(row["image"]),
        }
        for row in frame.to_dict("records")
    ]


def _is_local(link: str) -> bool:
    """True if the report may link to it: a path, never another host."""
    return urlsplit(link).scheme in {"", "file"} and not link.startswith("//")
