"""The model card: intended use, data, performance and limitations of a model, as HTML and as Markdown.

It is made from a manifest and from evaluations as plain dictionaries, as stored in a manifest. An older evaluation has
fewer measures; missing parts are left out, and the checklists say so.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from scoring.clinical.rau import HUMAN_SDC, MAX_SCORE
from scoring.networks.readout import USUAL_RULE
from scoring.report import model_figures
from scoring.report.checklists import CLAIM, SECTIONS, TRIPOD_AI, Section
from scoring.report.figure_style import standalone
from scoring.report.formatting import DASH, joint_term, thousands
from scoring.report.html import render
from scoring.report.measures import AGREEMENT, CALIBRATION, MEASURES, Measure, show, show_interval

Facts = Mapping[str, Any]

_HEADLINE: Final = ("class_normalized_accuracy", "quadratic_weighted_kappa", "within_one_accuracy", "mae")
_SUBGROUP_MEASURES: Final = ("accuracy", "class_normalized_accuracy", "quadratic_weighted_kappa", "mae", "coverage_90")
_RAU: Final = {"rau": "expected from the distributions", "rau_of_grades": "sum of the predicted grades"}
_GROUPS: Final = {
    "joint": "Joint",
    "side": "Side",
    "exposure": "Exposure (thirds by brightness)",
    "severity": "Severity (grade as read)",
    "year": "Year (of the radiograph)",
}
# Entries of a manifest's `data` that the card shows in a sentence or in another table.
_DATA_SHOWN_ELSEWHERE: Final = {
    "card", "training", "validation", "seed", "enrich", "enriched_above", "phantom_revision",
}  # fmt: skip


def render_html(manifest: Facts, evaluations: Mapping[str, Facts]) -> str:
    """Return the card as one self-contained HTML document. The same input gives the same bytes.

    Args:
        manifest: Manifest of the model.
        evaluations: `Evaluation.to_dict()` by reference: `reading`, and `truth` if the truth is known.

    Raises:
        ValueError: There is no evaluation against readings.
    """
    return render("model_card.html", **_card(manifest, evaluations))


def render_markdown(manifest: Facts, evaluations: Mapping[str, Facts]) -> str:
    """Return the card as Markdown; it shows the files of `figure_files` in its subfolder `figures`.

    Arguments and errors are those of `render_html`.
    """
    return render("model_card.md", **_card(manifest, evaluations))


def figure_files(manifest: Facts, evaluations: Mapping[str, Facts]) -> dict[str, str]:
    """Return the figures as SVG files by name, without those that the evaluation has no data for."""
    figures = _figures(manifest, _against_readings(evaluations))
    return {f"{name}.svg": standalone(svg) for name, svg in figures.items()}


def _against_readings(evaluations: Mapping[str, Facts]) -> Facts:
    if "reading" not in evaluations:
        raise ValueError("A model card needs an evaluation against readings. Run `scoring card --evaluate`.")
    return evaluations["reading"]


def _card(manifest: Facts, evaluations: Mapping[str, Facts]) -> dict[str, Any]:
    found = _against_readings(evaluations)
    synthetic = bool(manifest.get("trained_on_synthetic", True))
    training = manifest.get("training", {})
    rau = _rau(evaluations)
    calibration = _rows(found, CALIBRATION)
    per_grade = [sum(row) for row in found["confusion"]]
    optional = {"rau": rau, "calibration": calibration, "subgroups": found.get("subgroups")}
    sections = {key: title for key, title in SECTIONS.items() if optional.get(key, True)}
    return {
        "manifest": manifest,
        "found": found,
        "synthetic": synthetic,
        "sections": sections,
        "rule": manifest.get("read_out", asdict(USUAL_RULE)),
        "headline": _rows(found, {name: MEASURES[name] for name in _HEADLINE}),
        "figures": _figures(manifest, found),
        "data": _data(manifest, found),
        "recipe": _named(manifest.get("recipe", {})),
        "n_epochs": len(training.get("history", [])),
        "best_epoch": training.get("best_epoch"),
        "measures": _rows(found, AGREEMENT, _references(found)),
        "recall": _recall(found),
        "references": _references(found),
        "rau": rau,
        "human_sdc": f"{HUMAN_SDC} of {MAX_SCORE} ({100 * HUMAN_SDC / MAX_SCORE:.1f} %)",
        "calibration": calibration,
        "subgroups": _subgroups(found),
        "subgroup_columns": [MEASURES[name].label for name in _SUBGROUP_MEASURES],
        "tested_joints": [_group_label(row) for row in found.get("subgroups", []) if row["by"] == "joint"],
        "rare_grades": ", ".join(str(grade) for grade, n in enumerate(per_grade) if 0 < n < 100),
        "missing_grades": ", ".join(str(grade) for grade, n in enumerate(per_grade) if not n),
        "versions": _versions(manifest, found),
        "checklists": _checklists(synthetic, set(sections)),
        "significant": lambda values: ", ".join(f"{value:.3g}" for value in values),
    }


def _references(found: Facts) -> dict[str, str]:
    """Return the predictions that the model is compared with, as keys of the evaluation and titles."""
    references = {"always_0": "always grade 0"}
    if found.get("errorless_reader"):
        references["errorless_reader"] = "error-free reader"
    return references


def _rows(found: Facts, measures: Mapping[str, Measure], references: Iterable[str] = ()) -> list[dict[str, Any]]:
    return [
        {
            "label": measure.label,
            "meaning": measure.meaning,
            "value": show(found["measures"][name], measure.kind),
            "interval": show_interval(found["patient_intervals"].get(name), measure.kind),
            "references": [show(found[reference].get(name), measure.kind) for reference in references],
        }
        for name, measure in measures.items()
        if name in found["measures"]
    ]


def _recall(found: Facts) -> list[tuple[str, ...]]:
    """Return grade as read, number of joints, recall and interval."""
    return [
        (
            str(grade),
            thousands(sum(found["confusion"][grade])),
            show(recall, "share"),
            show_interval(None if recall is None else found["recall_wilson"][grade], "share") or DASH,
        )
        for grade, recall in enumerate(found["recall"])
    ]


def _figures(manifest: Facts, found: Facts) -> dict[str, str]:
    training = manifest.get("training", {})
    figures = {"confusion": model_figures.confusion(found["confusion"])}
    if training.get("history"):
        figures["learning"] = model_figures.learning_curves(training["history"], training["best_epoch"])
    for name, draw in (
        ("spread", model_figures.spread),
        ("pit", model_figures.pit),
        ("reliability", model_figures.reliability),
    ):
        if found.get(name):
            figures[name] = draw(found[name])
    groups = [
        (title.partition(" (")[0], [{**row, "label": _group_label(row)} for row in rows if row["n"] is not None])
        for title, rows in _grouped(found)
    ]
    if groups:
        figures["subgroups"] = model_figures.subgroup_forest(groups, found["measures"])
    return figures


def _grouped(found: Facts) -> list[tuple[str, list[Facts]]]:
    """Return the subgroups by title, without those that contain the whole set, such as the only side."""
    rows = found.get("subgroups", [])
    grouped = [(title, [row for row in rows if row["by"] == by]) for by, title in _GROUPS.items()]
    return [(title, members) for title, members in grouped if len(members) > 1]


def _group_label(row: Facts) -> str:
    if row["by"] == "joint":
        return joint_term(row["group"])
    return f"grade {row['group']}" if row["by"] == "severity" else str(row["group"])


def _subgroups(found: Facts) -> list[dict[str, Any]]:
    return [{"title": title, "rows": [_subgroup_row(row) for row in members]} for title, members in _grouped(found)]


def _subgroup_row(row: Facts) -> dict[str, Any]:
    suppressed = row["n"] is None
    return {
        "label": _group_label(row),
        "n": "suppressed" if suppressed else thousands(row["n"]),
        "n_patients": "<5" if suppressed else thousands(row["n_patients"]),
        "cells": [
            (
                show(row["measures"].get(name), MEASURES[name].kind),
                show_interval(row["patient_intervals"].get(name), MEASURES[name].kind),
            )
            for name in _SUBGROUP_MEASURES
        ],
    }


def _rau(evaluations: Mapping[str, Facts]) -> list[tuple[str, ...]]:
    """Return the errors of the Rau score of the model, and of the simulated reader if the truth is known.

    Returns:
        Scorer, score, reference, bias, mean absolute error, smallest detectable change and its interval.
    """
    rows = []
    for reference, found in evaluations.items():
        for kind, score in _RAU.items():
            rows.append(("model", score, reference, kind, found["measures"], found["patient_intervals"]))
        # A reader gives no distribution, so the expected score equals the sum of the grades.
        reader = found.get("reader") or {}
        rows.append(("simulated reader", "sum of the read grades", reference, "rau_of_grades", reader, {}))
    return [
        (
            scorer,
            score,
            reference,
            *(show(measures[f"{kind}_{error}"], "rau") for error in ("bias", "mae", "sdc")),
            show_interval(intervals.get(f"{kind}_sdc"), "rau") or DASH,
        )
        for scorer, score, reference, kind, measures, intervals in rows
        if f"{kind}_sdc" in measures
    ]


def _data(manifest: Facts, found: Facts) -> dict[str, Any]:
    data, test = manifest.get("data", {}), manifest.get("test_set", {})
    parts = {name: data[name] for name in ("training", "validation") if name in data}
    parts["test"] = {
        "n_joints": found["n"],
        "n_patients": found["n_patients"],
        "grades": [sum(row) for row in found["confusion"]],
        # The hash in the manifest belongs to the test set of the manifest's own evaluation.
        "snapshot_sha256": test.get("snapshot_sha256", "")
        if found == manifest.get("metrics", {}).get("reading")
        else "",
    }
    return {
        "card": data.get("card", ""),
        "rows": [
            {
                "part": name,
                "n_joints": thousands(part["n_joints"]),
                "n_patients": thousands(part["n_patients"]),
                "grades": [thousands(n) for n in part["grades"]],
                "seed": (test if name == "test" else data).get("seed"),
                "sha256": str(part.get("snapshot_sha256", ""))[:12],
            }
            for name, part in parts.items()
        ],
        "enrich": data.get("enrich"),
        "enriched_above": data.get("enriched_above"),
        "facts": _named({name: value for name, value in data.items() if name not in _DATA_SHOWN_ELSEWHERE}),
    }


def _named(values: Facts) -> list[tuple[str, str]]:
    return [(re.sub("^n_", "number of ", name).replace("_", " "), _plain(value)) for name, value in values.items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in _named(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _versions(manifest: Facts, found: Facts) -> list[tuple[str, str]]:
    rows = [
        ("Version", str(manifest["version"])),
        ("Created", str(manifest.get("created_at", "unknown"))),
        ("Initial weights from", str(manifest.get("started_from") or "")),
        ("Code revision", str(manifest.get("code_revision", "unknown"))),
        ("Architecture", f"{manifest['architecture']}, {thousands(manifest.get('n_parameters', math.nan))} parameters"),
        ("Preprocessing", str(manifest["preprocessing_version"])),
        ("Engine of the evaluation", str(found.get("engine") or "unknown")),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in manifest.get("libraries", {}).items())),
        ("Revision of the phantoms", str(manifest.get("data", {}).get("phantom_revision", ""))),
        *((name, f"sha256 {facts['sha256']}") for name, facts in manifest["files"].items()),
    ]
    return [(name, value) for name, value in rows if value]


def _checklists(synthetic: bool, shown: set[Section]) -> list[dict[str, Any]]:
    lists = (
        ("TRIPOD+AI", "BMJ 2024;385:e078378", TRIPOD_AI),
        ("CLAIM, items that TRIPOD+AI does not have", "Radiol Artif Intell 2020;2:e200029", CLAIM),
    )
    return [
        {
            "title": title,
            "source": source,
            "rows": [(item, *item.answer(synthetic=synthetic, shown=shown)) for item in items],
        }
        for title, source, items in lists
    ]
