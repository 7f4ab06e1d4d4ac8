"""The card of a model: what it is for, what it was made from, how good it is and what it must not be used for.

It is made from a manifest and from evaluations as plain dictionaries, as they stand in a manifest, and written as one
self-contained HTML page and as Markdown. An evaluation of an older version has fewer measures; what it lacks is left
out, and the checklists say so.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from markupsafe import Markup

from scoring.clinical.rau import HUMAN_SDC, MAX_SCORE
from scoring.networks.readout import USUAL_RULE
from scoring.report import checklists, model_figures
from scoring.report.checklists import CLAIM, SECTIONS, TRIPOD_AI, Item, Section
from scoring.report.formatting import DASH, SPACE, joint_term, thousands
from scoring.report.html import environment

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """How a measure is shown.

    Attributes:
        label: Its name in words.
        kind: `share` (.716), `percent` of erosion (2.28 %), `count`, `rau` (points of 190) or `score`.
        says: What it says, for somebody who does not know it.
    """

    label: str
    kind: str
    says: str


MEASURES: Final[Mapping[str, Measure]] = {
    "class_normalized_accuracy": Measure(
        "class-normalised accuracy", "share", "right grade, as the mean over the six grades: rare ones count as much"
    ),
    "quadratic_weighted_kappa": Measure(
        "quadratic weighted kappa", "share", "agreement beyond chance, with the squared distance of the grades"
    ),
    "accuracy_and_kappa": Measure(
        "accuracy and kappa", "share", "the mean of the two above, by which epochs, recipes and champions are chosen"
    ),
    "accuracy": Measure("accuracy", "share", "right grade, over all joints"),
    "within_one_accuracy": Measure(
        "±1, class-normalised", "share", "a neighbouring grade counts as right: readings sit on the borders"
    ),
    "border_aware_accuracy": Measure(
        "border-aware, class-normalised", "share", "any grade of the reading give or take 2.5 % counts as right"
    ),
    "gross_errors": Measure("gross errors", "count", "joints that are three or more grades off"),
    "erosion_unweighted_recall": Measure(
        "erosion yes or no", "share", "mean of sensitivity and specificity for grade 1 or more"
    ),
    "sensitivity_at_99_specificity": Measure(
        "grade 2 or more, sensitivity", "share", "by expected erosion, where 99 % of the other joints are below"
    ),
    "mae": Measure("mean absolute error", "percent", "of the expected erosion"),
    "mse": Measure("mean squared error", "score", "of the expected erosion, in per cent squared"),
    "r2": Measure("R²", "share", "share of the variation of the erosion that is explained"),
    "icc": Measure("ICC(2,1)", "share", "absolute agreement of read and predicted erosion, as of two raters"),
    "crps": Measure("CRPS", "score", "distance of the whole distribution from what was read; 0 is best"),
    "pit_calibration_error": Measure(
        "calibration error, distribution", "share", "distance of the integral transform from the even one; 0 is best"
    ),
    "grade_calibration_error": Measure(
        "calibration error, grade", "share", "stated less observed probability of the likeliest grade; 0 is best"
    ),
    "coverage_90": Measure("coverage of the 90 % interval", "share", "share of readings inside; .9 is meant"),
    "interval_width": Measure("width of the 90 % interval", "percent", "mean, in per cent of erosion"),
}

_AGREEMENT: Final = tuple(MEASURES)[:14]
_CALIBRATION: Final = tuple(MEASURES)[14:]
_RAU: Final = {"rau": "expected from the distributions", "rau_of_grades": "sum of the predicted grades"}
_GROUPS: Final = {
    "joint": "Joint",
    "side": "Side",
    "exposure": "Exposure (thirds by brightness)",
    "severity": "Severity (grade as read)",
    "year": "Year (of the radiograph)",
}
_ALWAYS: Final = (
    "Joints are scored one by one: no other side, earlier radiograph or other joint of the patient enters.",
    (
        "Only erosion is scored. Osteophytes, joint space narrowing from other causes, prostheses and fractures are not"
        " recognised as such; an operated joint must be left out before."
    ),
    (
        "The interval of a joint promises nothing within a single grade, nor for images unlike any that the network was"
        " trained on. The job sets aside images that cannot be decoded, are too small or are blank; any other image"
        " gets a score."
    ),
    "Readings lie on a 5 % grid with values on the borders between grades, so that exact grades have a ceiling.",
)
# Of a manifest's `data`: what the card says in a sentence or a table of its own.
_DATA_IN_WORDS: Final = {"card", "training", "validation", "seed", "enrich", "enriched_above", "phantom_revision"}
_SUBGROUP_MEASURES: Final = ("accuracy", "class_normalized_accuracy", "quadratic_weighted_kappa", "mae", "coverage_90")


def render_html(manifest: Facts, evaluations: Mapping[str, Facts]) -> str:
    """The card as one self-contained page. The same input gives the same bytes.

    Args:
        manifest: Of the model, as it stands in the store.
        evaluations: `Evaluation.to_dict()` by what they are against: `reading`, and `truth` if that is known.

    Raises:
        ValueError: There is no evaluation against readings.
    """
    return environment().get_template("model_card.html").render(_card(manifest, evaluations, inline=True))


def render_markdown(manifest: Facts, evaluations: Mapping[str, Facts]) -> str:
    """The card as Markdown; its figures are the files of `figure_files`, beside it.

    Args:
        manifest: See `render_html`.
        evaluations: See `render_html`.

    Raises:
        ValueError: There is no evaluation against readings.
    """
    return environment().get_template("model_card.md").render(_card(manifest, evaluations, inline=False))


def figure_files(manifest: Facts, evaluations: Mapping[str, Facts]) -> dict[str, str]:
    """The figures as SVG files, by name; those that the evaluation has nothing for are left out."""
    figures = _figures(manifest, _against_readings(evaluations))
    return {f"{name}.svg": model_figures.standalone(svg) for name, svg in figures.items()}


def _against_readings(evaluations: Mapping[str, Facts]) -> Facts:
    if "reading" not in evaluations:
        raise ValueError("a model card needs an evaluation against readings; run `scoring evaluate` on the model")
    return evaluations["reading"]


def _card(manifest: Facts, evaluations: Mapping[str, Facts], *, inline: bool) -> dict[str, Any]:
    found = _against_readings(evaluations)
    synthetic = bool(manifest.get("trained_on_synthetic", True))
    figures = _figures(manifest, found)
    rau = _rau(evaluations)
    shown: set[Section] = {"use", "data", "training", "figures", "limits", "versions"}
    shown |= {"rau"} if rau else set()
    shown |= {"calibration"} if _rows(found, _CALIBRATION) else set()
    shown |= {"subgroups"} if found.get("subgroups") else set()
    return {
        "manifest": manifest,
        "found": found,
        "synthetic": synthetic,
        "sections": {key: title for key, title in SECTIONS.items() if key in shown},
        "headline": _headline(found),
        "figures": {name: Markup(svg) for name, svg in figures.items()} if inline else set(figures),  # noqa: S704 - ours
        "data": _data(manifest, found),
        "recipe": _recipe(manifest),
        "rule": _rule(manifest),
        "history": manifest.get("training", {}).get("history", []),
        "best_epoch": manifest.get("training", {}).get("best_epoch"),
        "measures": _rows(found, _AGREEMENT, _columns(found)),
        "recall": _recall(found),
        "columns": _columns(found),
        "rau": rau,
        "human_sdc": f"{HUMAN_SDC} of {MAX_SCORE} ({100 * HUMAN_SDC / MAX_SCORE:.1f} %)",
        "calibration": _rows(found, _CALIBRATION),
        "subgroups": _subgroups(found),
        "subgroup_columns": [MEASURES[name].label for name in _SUBGROUP_MEASURES],
        "limits": _limits(synthetic, found, rau),
        "versions": _versions(manifest, found),
        "checklists": _checklists(synthetic, shown),
        "thousands": thousands,
        "DASH": DASH,
    }


def show(value: float | None, kind: str) -> str:
    """A value with the digits that its kind is read with; a dash for a missing one."""
    if value is None or math.isnan(value):
        return DASH
    if kind == "count":
        return thousands(value)
    if kind == "percent":
        return f"{value:.2f}{SPACE}%"
    if kind == "rau":
        return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")
    if kind == "score":
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:.4f}".lstrip("0")
    rounded = f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
    return rounded.replace("0.", ".", 1) if abs(value) < 0.9995 else rounded


def _interval(limits: Sequence[float | None] | None, kind: str) -> str:
    if limits is None or any(limit is None for limit in limits):
        return ""
    low, high = (show(limit, kind).removesuffix(f"{SPACE}%") for limit in limits)
    return f"{low} to {high}"


def _columns(found: Facts) -> dict[str, str]:
    columns = {"always_0": "always grade 0"}
    if found.get("errorless_reader"):
        columns["errorless_reader"] = "a reader without error"
    return columns


def _rows(found: Facts, names: Sequence[str], columns: Iterable[str] = ()) -> list[dict[str, Any]]:
    return [
        {
            "label": MEASURES[name].label,
            "says": MEASURES[name].says,
            "value": show(found["measures"][name], MEASURES[name].kind),
            "interval": _interval(found["patient_intervals"].get(name), MEASURES[name].kind),
            "beside": [show(found[column].get(name), MEASURES[name].kind) for column in columns],
        }
        for name in names
        if name in found["measures"]
    ]


def _headline(found: Facts) -> list[tuple[str, str, str]]:
    names = ("class_normalized_accuracy", "quadratic_weighted_kappa", "within_one_accuracy", "mae")
    return [(row["label"], row["value"], row["interval"]) for row in _rows(found, names)]


def _recall(found: Facts) -> list[dict[str, str]]:
    return [
        {
            "grade": str(grade),
            "n": thousands(sum(found["confusion"][grade])),
            "recall": show(recall, "share"),
            "interval": _interval(found["recall_wilson"][grade], "share") if recall is not None else "",
        }
        for grade, recall in enumerate(found["recall"])
    ]


def _figures(manifest: Facts, found: Facts) -> dict[str, str]:
    training = manifest.get("training", {})
    figures = {"confusion": model_figures.confusion(found["confusion"])}
    if training.get("history"):
        figures["learning"] = model_figures.learning_curves(training["history"], training["best_epoch"])
    if found.get("spread"):
        figures["spread"] = model_figures.spread(found["spread"])
    if found.get("pit"):
        figures["pit"] = model_figures.pit(found["pit"])
    if found.get("reliability"):
        figures["reliability"] = model_figures.reliability(found["reliability"])
    groups = [
        (title.partition(" (")[0], [_labelled(row) for row in rows if row["n"] is not None])
        for title, rows in _grouped(found.get("subgroups", []))
    ]
    if groups:
        figures["subgroups"] = model_figures.subgroup_forest(groups, found["measures"])
    return figures


def _grouped(subgroups: Sequence[Facts]) -> list[tuple[str, list[Facts]]]:
    """The subgroups under their titles; one that is the whole set, such as the only side, tells nothing."""
    grouped = [(title, [row for row in subgroups if row["by"] == by]) for by, title in _GROUPS.items()]
    return [(title, rows) for title, rows in grouped if len(rows) > 1]


def _labelled(row: Facts) -> dict[str, Any]:
    label = str(row["group"])
    if row["by"] == "joint":
        label = joint_term(label)
    elif row["by"] == "severity":
        label = f"grade {label}"
    return {**row, "label": label}


def _subgroups(found: Facts) -> list[dict[str, Any]]:
    return [
        {"title": title, "rows": [_subgroup_row(_labelled(row)) for row in rows]}
        for title, rows in _grouped(found.get("subgroups", []))
    ]


def _subgroup_row(row: Facts) -> dict[str, Any]:
    cells = [
        (
            show(row["measures"].get(name), MEASURES[name].kind),
            _interval(row["patient_intervals"].get(name), MEASURES[name].kind),
        )
        for name in _SUBGROUP_MEASURES
    ]
    if row["n"] is None:
        return {"label": row["label"], "n": "suppressed", "n_patients": "<5", "cells": cells}
    return {
        "label": row["label"], "n": thousands(row["n"]), "n_patients": thousands(row["n_patients"]), "cells": cells,
    }  # fmt: skip


def _rau(evaluations: Mapping[str, Facts]) -> list[dict[str, str]]:
    """Errors of the Rau score of a radiograph: of the model, and of the simulated reader where the truth is known."""
    rows = []
    for against, found in evaluations.items():
        who = [("model", found["measures"], found["patient_intervals"])]
        if found.get("reader"):
            who.append(("simulated reader", found["reader"], {}))
        for name, measures, intervals in who:
            for kind, score in _RAU.items():
                # A reader's answer has no doubt: both of his scores are the same.
                if f"{kind}_sdc" not in measures or (name != "model" and kind != "rau_of_grades"):
                    continue
                rows.append(
                    {
                        "who": name,
                        "score": score if name == "model" else "sum of the read grades",
                        "against": against,
                        "bias": show(measures[f"{kind}_bias"], "rau"),
                        "mae": show(measures[f"{kind}_mae"], "rau"),
                        "sdc": show(measures[f"{kind}_sdc"], "rau"),
                        "interval": _interval(intervals.get(f"{kind}_sdc"), "rau"),
                    }
                )
    return rows


def _data(manifest: Facts, found: Facts) -> dict[str, Any]:
    data, test = manifest.get("data", {}), manifest.get("test_set", {})
    parts = [(name, data[name]) for name in ("training", "validation") if name in data]
    grades = [sum(row) for row in found["confusion"]]
    # The manifest's hash is that of the set which its own figures are from.
    own = found == manifest.get("metrics", {}).get("reading")
    sha256 = test.get("snapshot_sha256", "") if own else ""
    evaluated = {"n_joints": found["n"], "n_patients": found["n_patients"], "grades": grades, "snapshot_sha256": sha256}
    parts.append(("test", evaluated))
    seeds = {"training": data.get("seed"), "validation": data.get("seed"), "test": test.get("seed")}
    return {
        "card": data.get("card", ""),
        "rows": [
            {
                "part": name,
                "n_joints": thousands(part["n_joints"]),
                "n_patients": thousands(part["n_patients"]),
                "grades": [thousands(n) for n in part["grades"]],
                "seed": seeds[name],
                "sha256": str(part.get("snapshot_sha256", ""))[:12],
            }
            for name, part in parts
        ],
        "enrich": data.get("enrich"),
        "enriched_above": data.get("enriched_above"),
        "facts": [
            (name.replace("_", " "), _plain(value)) for name, value in data.items() if name not in _DATA_IN_WORDS
        ],
    }


def _rule(manifest: Facts) -> str:
    """How grade and interval are read from the distribution, in words."""
    rule = manifest.get("read_out", asdict(USUAL_RULE))
    if rule["grade_by"] == "mean":
        borders = ", ".join(f"{border:.3g}" for border in rule["borders"])
        grade = f"The grade follows from the expected erosion, with borders at {borders} %"
    elif rule["grade_by"] == "weighted_median":
        weights = ", ".join(f"{weight:.3g}" for weight in rule["weights"])
        grade = f"The grade is the median of the grades' probabilities, which count {weights} times"
    else:
        grade = "The grade is the most probable one"
    if rule["interval_level"] == USUAL_RULE.interval_level:
        return f"{grade}; the 90 % interval runs from the 5 % to the 95 % quantile."
    return (
        f"{grade}; the 90 % interval is the central {100 * rule['interval_level']:.1f} % of the distribution, at which"
        " it held 90 % of the validation readings."
    )


def _recipe(manifest: Facts) -> list[tuple[str, str]]:
    recipe = manifest.get("recipe", {})
    return [(name.replace("_", " "), _plain(value)) for name, value in recipe.items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_plain(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limits(synthetic: bool, found: Facts, rau: Sequence[Facts]) -> list[str]:
    joints = [row["group"] for row in found.get("subgroups", []) if row["by"] == "joint"]
    few = [str(g) for g in range(6) if 0 < sum(found["confusion"][g]) < 100]
    none = [str(g) for g in range(6) if not sum(found["confusion"][g])]
    limits = []
    if synthetic:
        limits.append(
            "Trained and evaluated on drawings, with the drawing's own simplifications. On real radiographs the answers are "
            "arbitrary, whatever they look like. The figures compare methods on equal data and mean nothing clinically."
        )
    else:
        limits.append(
            "Evaluated on the readings of the site that trained it. Another site's radiographs, readers and patients are "
            "another matter: without an evaluation there its figures do not hold there."
        )
    if joints:
        limits.append(f"Evaluated on {len(joints)} joints: {', '.join(map(joint_term, joints))}. No other was tested.")
    if few:
        limits.append(f"Grades with fewer than 100 test joints: {', '.join(few)}. What is said of them is uncertain.")
    if none:
        limits.append(f"Grades without a test joint: {', '.join(none)}. Nothing is known of them.")
    limits += _ALWAYS
    if rau:
        limits.append(
            "The Rau score of a radiograph is extrapolated from the joints read on it to 38. From few joints it is noisier,"
            " so the smallest detectable change here is larger than that of a full set of radiographs."
        )
    limits.append(
        "Next: an evaluation on another site's radiographs, several readers of the same radiographs, change over time."
    )
    return limits


def _versions(manifest: Facts, found: Facts) -> list[tuple[str, str]]:
    rows = [
        ("Version", str(manifest["version"])),
        ("Made", str(manifest.get("created_at", "unknown"))),
        ("Weights gone on from", str(manifest.get("started_from") or "")),
        ("Code revision", str(manifest.get("code_revision", "unknown"))),
        ("Architecture", f"{manifest['architecture']}, {thousands(manifest.get('n_parameters', math.nan))} parameters"),
        ("Preprocessing", str(manifest["preprocessing_version"])),
        ("Evaluated with", str(found.get("engine") or "unknown")),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in manifest.get("libraries", {}).items())),
    ]
    data = manifest.get("data", {})
    if "phantom_revision" in data:
        rows.append(("Drawing code", data["phantom_revision"]))
    rows += [(name, f"sha256 {facts['sha256']}") for name, facts in manifest["files"].items()]
    return [(name, value) for name, value in rows if value]


def _checklists(synthetic: bool, shown: set[Section]) -> list[dict[str, Any]]:
    lists: tuple[tuple[str, str, tuple[Item, ...]], ...] = (
        ("TRIPOD+AI", "BMJ 2024;385:e078378", TRIPOD_AI),
        ("CLAIM, items that TRIPOD+AI does not have", "Radiol Artif Intell 2020;2:e200029", CLAIM),
    )
    return [
        {"title": title, "source": source, "rows": [_checked(item, synthetic, shown) for item in items]}
        for title, source, items in lists
    ]


def _checked(item: Item, synthetic: bool, shown: set[Section]) -> dict[str, Any]:
    status, section, remark = item.answer(synthetic=synthetic, shown=shown)
    return {
        "number": item.number,
        "topic": item.topic,
        "status": status,
        "section": section,
        "title": checklists.SECTIONS[section] if section else "",
        "remark": remark,
    }
