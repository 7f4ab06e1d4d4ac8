"""Figures of the model card."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scoring.clinical.ratingen import UPPER_BORDERS
from scoring.report.figure_style import DASHED, GRADES, PALETTE, WIDTH, Place, blank_figure, styled, svg_element

_SQUARE: Final[Place] = (0.13, 0.14, 0.85, 0.83)
_SQUARE_HEIGHT: Final = 330

Row = Mapping[str, Any]


@styled
def confusion(counts: Sequence[Sequence[int]]) -> str:
    """Draw the confusion matrix, 6 x 6; each row shows shares of the joints with this read grade, and their counts."""
    matrix = np.asarray(counts, dtype=np.float64)
    of_grade = matrix.sum(axis=1, keepdims=True)
    share = np.divide(matrix, of_grade, out=np.zeros_like(matrix), where=of_grade > 0)
    figure, axes = blank_figure(_SQUARE_HEIGHT, (0.13, 0.05, 0.85, 0.79))
    axes.set(xlim=(-0.5, 5.5), ylim=(5.5, -0.5), xlabel="predicted grade", ylabel="read grade")
    for row in GRADES:
        for column in GRADES:
            _cell(axes, row, column, share[row, column], int(matrix[row, column]))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks(list(GRADES), list(map(str, GRADES)), color=PALETTE["ink"])
    axes.set_yticks(list(GRADES), list(map(str, GRADES)), color=PALETTE["ink"])
    recall = ", ".join(f"grade {grade} {100 * share[grade, grade]:.0f} %" for grade in GRADES if of_grade[grade])
    return svg_element(figure, "confusion", f"Confusion matrix. Share of joints with the correct grade: {recall}.")


def _cell(axes: Axes, row: int, column: int, share: float, n: int) -> None:
    if not n:
        axes.text(column, row, "·", ha="center", va="center", color=PALETTE["past"])
        return
    sides = [column - 0.48, column + 0.48]
    axes.fill_between(sides, row - 0.47, row + 0.47, color=PALETTE["reported"], alpha=0.5 * share, linewidth=0)
    percent = f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"
    axes.text(column, row - 0.12, percent, ha="center", va="center", fontsize=11)
    axes.text(column, row + 0.25, f"{n:,}", ha="center", va="center", fontsize=8.5, color=PALETTE["ink"])


@styled
def spread(steps: Sequence[Row]) -> str:
    """Draw predicted against read erosion: median, middle 50 % and middle 90 % of the predictions per reading.

    `steps` are the rows of `Evaluation.spread`.
    """
    figure, axes = blank_figure(_SQUARE_HEIGHT, _SQUARE)
    _square(axes, 100, "read erosion, %", "predicted erosion, %")
    for border in UPPER_BORDERS[1:]:
        axes.axhline(border, color=PALETTE["grid"], linewidth=0.8, zorder=0)
        axes.axvline(border, color=PALETTE["grid"], linewidth=0.8, zorder=0)
    erosion, medians = [step["erosion"] for step in steps], [step["q50"] for step in steps]
    for x, step in zip(erosion, steps, strict=True):
        axes.plot([x, x], [step["q05"], step["q95"]], color=PALETTE["predicted"], linewidth=1.2)
        axes.plot([x, x], [step["q25"], step["q75"]], color=PALETTE["predicted"], linewidth=4, alpha=0.5)
    axes.scatter(erosion, medians, s=20, color=PALETTE["predicted"], zorder=3, linewidths=0)
    alt = ", ".join(f"{median:.0f} % for {x:.0f} %" for x, median in zip(erosion, medians, strict=True))
    return svg_element(figure, "spread", f"Predicted against read erosion. Median prediction: {alt}.")


@styled
def pit(shares: Sequence[float]) -> str:
    """Draw the histogram of the probability integral transform, which is level for calibrated distributions.

    `shares` are the shares of the joints in ten equal parts of 0 to 1.
    """
    figure, axes = blank_figure(240, (0.13, 0.2, 0.85, 0.77))
    left = np.linspace(0, 1, len(shares) + 1)[:-1]
    axes.bar(left + 0.05, np.asarray(shares) * 100, width=0.088, color=PALETTE["reported"], alpha=0.6, linewidth=0)
    axes.axhline(100 / len(shares), color=PALETTE["predicted"], linewidth=1.6)
    axes.set(xlim=(0, 1), xlabel="predicted probability of values below the reading", ylabel="share of joints, %")
    alt = ", ".join(f"{100 * share:.0f} %" for share in shares)
    return svg_element(figure, "pit", f"Probability integral transform in tenths, 10 % each if calibrated: {alt}.")


@styled
def reliability(bins: Sequence[Row]) -> str:
    """Draw how often the most probable grade is correct against its predicted probability.

    `bins` are the rows of `Evaluation.reliability`. The area of a mark is proportional to the number of joints.
    """
    figure, axes = blank_figure(_SQUARE_HEIGHT, _SQUARE)
    _square(axes, 1, "predicted probability of the most probable grade", "share of joints where it is correct")
    confidence, hits, n = ([row[name] for row in bins] for name in ("confidence", "hits", "n"))
    areas = [16 + 240 * each / max(n) for each in n]
    axes.scatter(confidence, hits, s=areas, color=PALETTE["reported"], alpha=0.7, linewidths=0, zorder=3)
    alt = "; ".join(f"{row['confidence']:.2f} predicted, {row['hits']:.2f} correct ({row['n']:,})" for row in bins)
    return svg_element(figure, "reliability", f"Reliability of the most probable grade: {alt}.")


def _square(axes: Axes, top: float, x: str, y: str) -> None:
    limits = -top * 0.02, top + top * 0.02
    axes.set(xlim=limits, ylim=limits, xlabel=x, ylabel=y)
    axes.plot([0, top], [0, top], color=PALETTE["past"], linewidth=1, linestyle=DASHED, zorder=0)


@styled
def learning_curves(history: Sequence[Row], best_epoch: int) -> str:
    """Draw the training loss and the agreement on the validation set by epoch; the chosen epoch is marked.

    `history` is `training.history` of a manifest.
    """
    epochs = [row["epoch"] for row in history]
    lines = {
        "class-normalised accuracy": ("class_normalized_accuracy", "reported", "o"),
        "quadratic weighted kappa": ("quadratic_weighted_kappa", "predicted", "D"),
    }
    figure, above = blank_figure(_SQUARE_HEIGHT, (0.13, 0.41, 0.84, 0.52))
    below = figure.add_axes((0.13, 0.13, 0.84, 0.2))
    for label, (name, colour, marker) in lines.items():
        values = [row["validation"][name] for row in history]
        above.plot(epochs, values, marker=marker, markersize=4.5, color=PALETTE[colour], linewidth=1.6, label=label)
    loss = [row.get("loss", row.get("loss_of_last_batch")) for row in history]
    below.plot(epochs, loss, marker="o", markersize=3.5, color=PALETTE["muted"], linewidth=1.4)
    below.set_ylim(bottom=0)
    below.locator_params(axis="y", nbins=3)
    below.set(xlabel="epoch", ylabel="loss")
    above.set_ylabel("validation")
    for axes in (above, below):
        axes.grid(axis="y")
        axes.axvline(best_epoch, color=PALETTE["past"], linewidth=1, linestyle=DASHED, zorder=0)
        axes.set_xlim(min(epochs) - 0.4, max(epochs) + 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    above.tick_params(labelbottom=False)
    above.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, fontsize=9.5, borderpad=0)
    best = next(row for row in history if row["epoch"] == best_epoch)["validation"]
    alt = ", ".join(f"{label} {best[name]:.2f}" for label, (name, _, _) in lines.items())
    return svg_element(figure, "learning", f"{len(epochs)} epochs; chosen epoch {best_epoch}: {alt}.")


@styled
def subgroup_forest(groups: Sequence[tuple[str, Sequence[Row]]], overall: Row) -> str:
    """Draw class-normalised accuracy and mean absolute error per subgroup, with intervals and the value of all joints.

    Args:
        groups: Titles with their rows, each with label, measures and patient_intervals; without suppressed rows.
        overall: Measures of the whole test set.
    """
    panels = (("class_normalized_accuracy", "class-normalised accuracy"), ("mae", "mean absolute error, %"))
    labels: list[tuple[str, Row | None]] = []
    for title, rows in groups:
        labels += [(title, None), *((str(row["label"]), row) for row in rows)]
    height = 62 + 15.5 * len(labels)
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    alt = []
    for i, (name, title) in enumerate(panels):
        axes = figure.add_axes((0.24 + 0.39 * i, 44 / height, 0.35, 1 - 52 / height))
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.axvline(overall[name], color=PALETTE["past"], linewidth=1, linestyle=DASHED, zorder=0)
        axes.grid(axis="x")
        for y, (label, row) in enumerate(labels):
            if i == 0:
                axes.text(
                    -0.06, y, label, transform=axes.get_yaxis_transform(), ha="right", va="center",
                    fontsize=9.5 if row is None else 9, color=PALETTE["muted" if row is None else "ink"],
                )  # fmt: skip
            if row is None or row["measures"].get(name) is None:
                continue
            value, interval = row["measures"][name], row["patient_intervals"][name]
            axes.plot(interval, [y, y], color=PALETTE["reported"], linewidth=1.6, solid_capstyle="round")
            axes.plot([value], [y], marker="o", markersize=4, color=PALETTE["reported"])
            if i == 0:
                alt.append(f"{label} {value:.2f}")
        axes.set_yticks([])
        axes.set_xlabel(title, fontsize=9.5)
        axes.tick_params(axis="x", labelsize=9)
    return svg_element(figure, "subgroups", f"Class-normalised accuracy: {', '.join(alt)}.")
