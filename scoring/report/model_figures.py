"""Figures of the model card, in the style of the night's page: inline SVG, or SVG files for a Markdown text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scoring.report.nightly_figures import GRADES, PALETTE, style, svg_element

_BORDERS: Final = (20, 40, 60, 80)
_DARKEST: Final = 0.5
_FONT: Final = "DejaVu Sans, Verdana, sans-serif"

Row = Mapping[str, Any]


def standalone(svg: str) -> str:
    """A figure of a page as a file of its own: light colours, white ground, a font that is named."""
    plain = re.sub(r"var\(--[a-z]+,(#[0-9a-f]{6})\)", r"\1", svg)
    box = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', plain)
    assert box is not None  # noqa: S101 - every figure of this package has one
    width, height = box.groups()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="{_FONT}"'
    ground = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    opened, body = plain.removeprefix('<svg class="chart"').split(">", 1)
    return f"{head}{opened}>{ground}{body}"


def confusion(counts: Sequence[Sequence[int]]) -> str:
    """Confusion matrix, each row as shares of the joints that were read as this grade, with the counts.

    Args:
        counts: 6 x 6, the row is the reading.
    """
    matrix = np.asarray(counts, dtype=np.float64)
    of_grade = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, of_grade, out=np.zeros_like(matrix), where=of_grade > 0)
    with style():
        figure = Figure(figsize=(400 / 72, 330 / 72))
        axes = figure.add_axes((0.13, 0.05, 0.85, 0.79))
        axes.set_xlim(-0.5, 5.5)
        axes.set_ylim(5.5, -0.5)
        for row in GRADES:
            for column in GRADES:
                _cell(axes, row, column, share[row, column], int(matrix[row, column]))
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(list(GRADES), [f"{grade}" for grade in GRADES], color=PALETTE["ink"])
        axes.set_yticks(list(GRADES), [f"{grade}" for grade in GRADES], color=PALETTE["ink"])
        axes.set_xlabel("predicted grade")
        axes.set_ylabel("read grade")
        recall = ", ".join(f"grade {g} {100 * share[g, g]:.0f} %" for g in GRADES if of_grade[g])
        return svg_element(figure, "confusion", f"Confusion matrix. Share of joints with the right grade: {recall}.")


def _cell(axes: Axes, row: int, column: int, share: float, n: int) -> None:
    if not n:
        axes.text(column, row, "·", ha="center", va="center", color=PALETTE["past"])
        return
    axes.fill_between(
        [column - 0.48, column + 0.48], row - 0.47, row + 0.47, color=PALETTE["reported"], alpha=_DARKEST * share,
        linewidth=0,
    )  # fmt: skip
    percent = f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"
    axes.text(column, row - 0.12, percent, ha="center", va="center", fontsize=11)
    axes.text(column, row + 0.25, f"{n:,}", ha="center", va="center", fontsize=8.5, color=PALETTE["ink"])


def spread(steps: Sequence[Row]) -> str:
    """Predicted against read erosion: median, middle half and middle 90 % of the predictions for each reading.

    Args:
        steps: Rows of `Evaluation.spread`.
    """
    with style():
        figure = Figure(figsize=(400 / 72, 330 / 72))
        axes = figure.add_axes((0.13, 0.14, 0.85, 0.83))
        _square(axes, 100, "read erosion, %", "predicted erosion, %")
        for border in _BORDERS:
            axes.axhline(border, color=PALETTE["grid"], linewidth=0.8, zorder=0)
            axes.axvline(border, color=PALETTE["grid"], linewidth=0.8, zorder=0)
        for step in steps:
            x = step["erosion"]
            axes.plot([x, x], [step["q05"], step["q95"]], color=PALETTE["predicted"], linewidth=1.2)
            axes.plot([x, x], [step["q25"], step["q75"]], color=PALETTE["predicted"], linewidth=4, alpha=0.5)
        axes.scatter(
            [step["erosion"] for step in steps],
            [step["q50"] for step in steps],
            s=20,
            color=PALETTE["predicted"],
            zorder=3,
            linewidths=0,
        )
        medians = ", ".join(f"{step['q50']:.0f} % for {step['erosion']:.0f} %" for step in steps)
        return svg_element(figure, "spread", f"Predicted against read erosion. Median prediction: {medians}.")


def pit(shares: Sequence[float]) -> str:
    """Histogram of the probability integral transform: level if the distributions are calibrated.

    Args:
        shares: Of ten equal parts.
    """
    with style():
        figure = Figure(figsize=(400 / 72, 240 / 72))
        axes = figure.add_axes((0.13, 0.2, 0.85, 0.77))
        edges = np.linspace(0, 1, len(shares) + 1)
        axes.bar(
            edges[:-1] + 0.05, np.asarray(shares) * 100, width=0.088, color=PALETTE["reported"], alpha=0.6, linewidth=0
        )
        axes.axhline(100 / len(shares), color=PALETTE["predicted"], linewidth=1.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("probability given to readings below the one that was read")
        axes.set_ylabel("share of joints, %")
        told = ", ".join(f"{100 * share:.0f} %" for share in shares)
        return svg_element(figure, "pit", f"Probability integral transform in tenths, 10 % each if calibrated: {told}.")


def reliability(bins: Sequence[Row]) -> str:
    """How often the likeliest grade is right against the probability it was given; the area of a mark is the number.

    Args:
        bins: Rows of `Evaluation.reliability`.
    """
    most = max(row["n"] for row in bins)
    with style():
        figure = Figure(figsize=(400 / 72, 330 / 72))
        axes = figure.add_axes((0.13, 0.14, 0.85, 0.83))
        _square(axes, 1, "probability given to the likeliest grade", "share of joints where it is right")
        axes.scatter(
            [row["confidence"] for row in bins],
            [row["hits"] for row in bins],
            s=[16 + 240 * row["n"] / most for row in bins],
            color=PALETTE["reported"],
            alpha=0.7,
            linewidths=0,
            zorder=3,
        )
        told = "; ".join(f"{row['confidence']:.2f} given, {row['hits']:.2f} right ({row['n']:,})" for row in bins)
        return svg_element(figure, "reliability", f"Reliability of the likeliest grade: {told}.")


def _square(axes: Axes, top: float, x: str, y: str) -> None:
    margin = top * 0.02
    axes.set_xlim(-margin, top + margin)
    axes.set_ylim(-margin, top + margin)
    axes.plot([0, top], [0, top], color=PALETTE["past"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def learning_curves(history: Sequence[Row], best_epoch: int) -> str:
    """Loss of the training, and agreement on the validation patients, by epoch; the chosen epoch is marked.

    Args:
        history: `training.history` of a manifest.
        best_epoch: The epoch whose weights the model has.
    """
    epochs = [row["epoch"] for row in history]
    lines = {
        "class-normalised accuracy": ("class_normalized_accuracy", "reported", "o"),
        "quadratic weighted kappa": ("quadratic_weighted_kappa", "predicted", "D"),
    }
    with style():
        figure = Figure(figsize=(400 / 72, 330 / 72))
        above = figure.add_axes((0.13, 0.41, 0.84, 0.52))
        below = figure.add_axes((0.13, 0.13, 0.84, 0.2))
        for label, (name, colour, marker) in lines.items():
            values = [row["validation"][name] for row in history]
            above.plot(epochs, values, marker=marker, markersize=4.5, color=PALETTE[colour], linewidth=1.6, label=label)
        loss = [row.get("loss", row.get("loss_of_last_batch")) for row in history]
        below.plot(epochs, loss, marker="o", markersize=3.5, color=PALETTE["muted"], linewidth=1.4)
        below.set_ylim(bottom=0)
        below.locator_params(axis="y", nbins=3)
        below.set_ylabel("loss")
        below.set_xlabel("epoch")
        above.set_ylabel("validation")
        for axes in (above, below):
            axes.grid(axis="y")
            axes.axvline(best_epoch, color=PALETTE["past"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
            axes.set_xlim(min(epochs) - 0.4, max(epochs) + 0.4)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        above.tick_params(labelbottom=False)
        above.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, fontsize=9.5, borderpad=0)
        best = next(row for row in history if row["epoch"] == best_epoch)["validation"]
        told = ", ".join(f"{label} {best[name]:.2f}" for label, (name, _, _) in lines.items())
        return svg_element(figure, "learning", f"{len(epochs)} epochs; chosen epoch {best_epoch}: {told}.")


def subgroup_forest(groups: Sequence[tuple[str, Sequence[Row]]], overall: Row) -> str:
    """Class-normalised accuracy and mean absolute error of the subgroups with their intervals, beside the whole set.

    Args:
        groups: A title and its rows, each with label, measures and patient_intervals; suppressed ones left out.
        overall: The measures of the whole set.
    """
    panels = (("class_normalized_accuracy", "class-normalised accuracy"), ("mae", "mean absolute error, %"))
    labels: list[tuple[str, Row | None]] = []
    for title, rows in groups:
        labels += [(title, None), *((str(row["label"]), row) for row in rows)]
    height = 62 + 15.5 * len(labels)
    with style():
        figure = Figure(figsize=(400 / 72, height / 72))
        alt = []
        for i, (name, title) in enumerate(panels):
            axes = figure.add_axes((0.24 + 0.39 * i, 44 / height, 0.35, 1 - 52 / height))
            axes.set_ylim(len(labels) - 0.4, -0.6)
            axes.axvline(overall[name], color=PALETTE["past"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
            axes.grid(axis="x")
            for y, (_, row) in enumerate(labels):
                if row is None or row["measures"].get(name) is None:
                    continue
                low, high = row["patient_intervals"][name]
                axes.plot([low, high], [y, y], color=PALETTE["reported"], linewidth=1.6, solid_capstyle="round")
                axes.plot([row["measures"][name]], [y], marker="o", markersize=4, color=PALETTE["reported"])
                if i == 0:
                    alt.append(f"{row['label']} {row['measures'][name]:.2f}")
            axes.set_yticks([])
            axes.set_xlabel(title, fontsize=9.5)
            axes.tick_params(axis="x", labelsize=9)
            if i == 0:
                for y, (label, row) in enumerate(labels):
                    axes.text(
                        -0.06, y, label, transform=axes.get_yaxis_transform(), ha="right", va="center",
                        fontsize=9.5 if row is None else 9, color=PALETTE["muted" if row is None else "ink"],
                    )  # fmt: skip
        return svg_element(figure, "subgroups", f"Class-normalised accuracy: {', '.join(alt)}.")
