"""One self-contained HTML page a night: words and tables from a `NightlyReport`, no script, nothing to load."""

from collections.abc import Hashable
from typing import Any, Final
from urllib.parse import urlsplit

import pandas as pd
from markupsafe import Markup

from scoring.report import nightly_figures, thumbnail
from scoring.report.formatting import (
    _DATASETS,
    DASH,
    _joined,
    counted,
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


def _books(report: NightlyReport) -> list[Row]:
    books = []
    for row in report.books.to_dict("records"):
        outcomes = _IMAGE_OUTCOMES if row["dataset"] == "images" else _TABLE_OUTCOMES
        counts = {name: 0 if pd.isna(row[name]) else int(row[name]) for name in (*outcomes, "quarantined", "landed")}
        accounted = sum(n for name, n in counts.items() if name != "landed")
        books.append(
            {
                **counts,
                "dataset": row["dataset"],
                "name": _DATASETS.get(row["dataset"], (row["dataset"],) * 2)[1],
                "outcomes": outcomes,
                "gap": counts["landed"] - accounted,
                "balanced": bool(row["balanced"]),
            }
        )
    order = list(_DATASETS)
    return sorted(books, key=lambda book: order.index(book["dataset"]) if book["dataset"] in order else len(order))


def _images(books: list[Row]) -> Row:
    none: Row = {"landed": 0, "scored": 0, "already_scored": 0, "quarantined": 0}
    return next((book for book in books if book["dataset"] == "images"), none)


def _all_quarantined(images: Row) -> bool:
    return bool(images["landed"]) and images["quarantined"] == images["landed"]


def _scored_clause(images: Row) -> str:
    scored, already, landed = images["scored"], images["already_scored"], images["landed"]
    if scored:
        return f"{thousands(scored)} joint{'s' if scored != 1 else ''} scored"
    if _all_quarantined(images):
        return f"no joint scored, {'all ' if landed > 1 else ''}{counted(landed, 'images')} quarantined"
    if already:
        return f"no joint scored anew, {thousands(already)} scored by an earlier run"
    return "no joint scored" if landed else "no joint image came"


def _quarantined_clause(books: list[Row]) -> str:
    parts = [counted(book["quarantined"], book["dataset"]) for book in books if book["quarantined"]]
    if len(parts) < 2:
        return f"{parts[0] if parts else 'nothing'} quarantined"
    total = sum(book["quarantined"] for book in books)
    return f"{thousands(total)} rows quarantined ({_joined(parts)})"


def _balance_clause(books: list[Row]) -> str:
    open_books = [
        f"{book['name']} ({counted(abs(book['gap']), book['dataset'])} "
        f"{'unaccounted for' if book['gap'] > 0 else 'too many'})"
        if book["gap"]
        else str(book["name"])
        for book in books
        if not book["balanced"]
    ]
    return f"the books do not balance: {_joined(open_books)}" if open_books else "all books balance"


def headline(report: NightlyReport) -> str:
    """The night in one sentence: outcome, joints scored, rows quarantined, whether the books balance."""
    books = _books(report)
    word = {"succeeded": "Succeeded", "failed": "Failed"}[report.status]
    if not books:
        return f"{word}: the night stopped before its books were kept, and nothing of it was published."
    if not any(book["landed"] for book in books):
        return f"{word}: the night's folder was empty, so there was nothing to score; {_balance_clause(books)}."
    images = _images(books)
    # The first clause has already told of the images when nothing else happened to them.
    rest = [book for book in books if book["dataset"] != "images"] if _all_quarantined(images) else books
    clauses = [_scored_clause(images), _quarantined_clause(rest), _balance_clause(books)]
    if rest is not books and not any(book["quarantined"] for book in rest):
        del clauses[1]
    return f"{word}: {'; '.join(clauses)}."


def tone(report: NightlyReport) -> str:
    """How the headline looks: "bad" for a failed night, "good" if joints were scored, else "wait": look at it."""
    if report.status == "failed" or not all(book["balanced"] for book in _books(report)):
        return "bad"
    images = _images(_books(report))
    return "good" if images["scored"] + images["already_scored"] else "wait"


def _faults(frame: pd.DataFrame) -> list[Row]:
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
    # A driver may return dates as timestamps; those would equal no date and the night would look empty.
    counts = report.grade_distribution.assign(
        batch_date=pd.to_datetime(report.grade_distribution["batch_date"]).dt.date
    )
    tonight = counts.loc[counts["batch_date"] == report.batch_date].groupby("predicted_grade")["n"].sum()
    if tonight.sum() == 0:
        return None
    shares = nightly_figures.grade_shares(counts)
    shown = shares.pop(report.batch_date)
    rows = [
        {
            "grade": grade,
            "n": thousands(tonight.get(grade, 0)),
            "share": percent(shown[grade]),
            "past": _range([night[grade] for night in shares.values()]),
        }
        for grade in nightly_figures.GRADES
    ]
    return {
        "figure": Markup(nightly_figures.grade_distribution(counts, report.batch_date)),  # noqa: S704 - our own SVG
        "rows": rows,
        "total": thousands(tonight.sum()),
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
            "label": nightly_figures.ACTIVITY_LABELS[form],
            "figure": Markup(nightly_figures.rau_against_das28(pairs, form)),  # noqa: S704 - our own SVG
            "visits": _joined(
                f"{thousands(n)} {label}"
                for damage, label in nightly_figures.DAMAGE_LABELS.items()
                if (n := ((pairs["activity"] == form) & (pairs["damage"] == damage)).sum())
            ),
        }
        for form in nightly_figures.das28_forms_in_use(pairs)
    ]


def _correlation(report: NightlyReport) -> Row | None:
    frame = report.correlation.dropna(subset=["estimate"])
    frame = frame.loc[frame["activity"].isin(nightly_figures.ACTIVITY_LABELS)]
    if frame.empty:
        return None
    groups = []
    for damage, label in nightly_figures.DAMAGE_LABELS.items():
        rows = []
        for activity, activity_label in nightly_figures.ACTIVITY_LABELS.items():
            chosen = frame.loc[(frame["damage"] == damage) & (frame["activity"] == activity)]
            if chosen.empty:
                continue
            by_method = {row["method"]: row for row in chosen.to_dict("records")}
            rows.append(
                {
                    "activity": activity_label,
                    "cells": [_estimate(by_method.get(method)) for method in _METHODS],
                    "n_visits": thousands(chosen["n_visits"].max()),
                    "n_patients": thousands(chosen["n_patients"].max()),
                }
            )
        if rows:
            groups.append({"label": label, "rows": rows})
    return {
        "groups": groups,
        "methods": [method.title() for method in _METHODS],
        "confidence": f"{100 * float(frame['confidence'].iloc[0]):g}",
        "figure": Markup(nightly_figures.correlation_forest(frame)),  # noqa: S704 - our own SVG
        "forest_method": nightly_figures.forest_method(frame).title(),
    }


def _estimate(row: Row | None) -> tuple[str, str] | None:
    if row is None:
        return None
    interval: str = "no interval" if pd.isna(row["ci_low"]) else f"{signed(row['ci_low'])} to {signed(row['ci_high'])}"
    return signed(row["estimate"]), interval


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
            "image": thumbnail.data_url(row["image"] if isinstance(row["image"], bytes) else None),
        }
        for row in frame.to_dict("records")
    ]


def _is_local(link: str) -> bool:
    """Whether a link may be followed from the page: a path, never a page of another host."""
    return urlsplit(link).scheme in {"", "file"} and not link.startswith("//")


def render_nightly_report(report: NightlyReport) -> str:
    """The page of one night.

    The page is one file: styles, figures and images are inside, there is no script, and a content security policy
    forbids it to load anything. The same report gives the same bytes.

    Args:
        report: what the night came to.

    Returns:
        The HTML document.

    Raises:
        ValueError: a joint is not in the catalogue.
    """
    books = _books(report)
    images = _images(books)
    return (
        environment()
        .get_template("night.html")
        .render(
            report=report,
            long_date=long_date(report.batch_date),
            headline=headline(report),
            tone=tone(report),
            ended_early=not any(len(getattr(report, name)) for name in COLUMNS),
            books=books,
            image_outcomes=_IMAGE_OUTCOMES,
            table_outcomes=_TABLE_OUTCOMES,
            nothing_came=not any(book["landed"] for book in books),
            landed=thousands(images["landed"]),
            scored=thousands(images["scored"]),
            scored_clause=_scored_clause(images),
            quarantined=thousands(sum(book["quarantined"] for book in books)),
            balanced=bool(books) and all(book["balanced"] for book in books),
            late=report.late_files.sort_values("batch_date").to_dict("records"),
            n_late=thousands(report.late_files["n"].sum()),
            faults=_faults(report.quarantine),
            warnings=_faults(report.warnings),
            grades=_grades(report),
            scatter=_scatter(report),
            smoother_span=f"{100 * nightly_figures.SMOOTHER_SPAN:g}",
            max_points=nightly_figures.MAX_POINTS,
            correlation=_correlation(report),
            worst=_joints(report.worst_joints),
            doubtful=_joints(report.doubtful_joints),
            started=moment(report.started_at),
            finished=moment(report.finished_at) if report.finished_at else None,
            took=span(report.finished_at - report.started_at) if report.finished_at else None,
            data_docs_href=report.data_docs if _is_local(report.data_docs) else "",
            thousands=thousands,
        )
    )
