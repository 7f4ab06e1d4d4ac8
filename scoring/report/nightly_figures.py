"""Figures of the nightly report: grade distribution, Rau score against DAS28, correlations."""

from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator

from scoring.report.figure_style import (
    ACTIVITY_LABELS,
    COLOURS,
    DAMAGE_LABELS,
    GRADES,
    MARKERS,
    PALETTE,
    SMOOTHER_MIN_VISITS,
    SMOOTHER_SPAN,
    Floats,
    blank_figure,
    equal_steps,
    rau_das28_axes,
    styled,
    svg_element,
)

# In order of preference: the skew of the Rau score and a few severe visits distort Pearson's coefficient most.
_FOREST_METHODS: Final = ("spearman", "kendall", "pearson")


def grade_shares(counts: pd.DataFrame) -> dict[date, Floats]:
    """Return the shares of the Ratingen grades 0-5, (6,), by batch date, oldest first, without batches without joints.

    `counts` has the columns batch_date, predicted_grade and n.
    """
    table = counts.groupby(["batch_date", "predicted_grade"])["n"].sum().unstack(fill_value=0)
    table = table.reindex(columns=list(GRADES), fill_value=0)
    return {day: n / n.sum() for day, n in zip(table.index, table.to_numpy(dtype=float), strict=True) if n.sum() > 0}


@styled
def grade_distribution(counts: pd.DataFrame, batch_date: date) -> str:
    """Draw the share of each grade in one batch and in earlier batches, as a dot plot with a logarithmic axis.

    Two of three joints are grade 0 and one in a hundred is grade 3: on a linear axis, twice as many joints of grade 3
    would not be visible. A share of zero is drawn to the left of a gap in the axis.

    `counts` has the columns batch_date, predicted_grade and n, and contains joints of `batch_date`.
    """
    shares = grade_shares(counts)
    current = shares.pop(batch_date)
    past = np.array(list(shares.values())).reshape(-1, len(GRADES))
    all_shares = np.vstack([past, current])
    floor = min(0.01, float(10.0 ** np.floor(np.log10(all_shares[all_shares > 0].min()) + 1e-9)))
    zero = floor / 3.5

    figure, axes = blank_figure(232, (0.115, 0.2, 0.735, 0.78))
    axes.set(xscale="log", xlim=(zero / 1.5, 1.25), ylim=(5.6, -0.6))
    axes.set(xlabel="share of joints in the batch (logarithmic)", ylabel="Ratingen grade")
    for grade in GRADES:
        axes.axhline(grade, color=PALETTE["grid"], linewidth=0.8, zorder=0)
        before = past[:, grade]
        # Each batch has its own height, because equal shares would cover each other.
        heights = grade + np.linspace(0.22, -0.22, len(before)) if len(before) > 1 else np.full(len(before), grade)
        axes.scatter(np.where(before > 0, before, zero), heights, s=13, color=PALETTE["past"], linewidths=0)
        share = current[grade] if current[grade] > 0 else zero
        axes.scatter([share], [grade], s=52, color=PALETTE["predicted"], zorder=3)
        axes.text(1.035, grade, _percent(current[grade]), transform=axes.get_yaxis_transform(), va="center")
    axes.set_yticks(list(GRADES), list(map(str, GRADES)), color=PALETTE["ink"], fontsize=11)
    decades = 10.0 ** np.arange(round(np.log10(floor)), 1)
    axes.xaxis.set_major_locator(FixedLocator([zero, *decades]))
    axes.xaxis.set_major_formatter(lambda x, _: "none" if x < floor * 0.9 else f"{100 * x:g} %")
    axes.minorticks_off()
    axes.text(
        np.sqrt(zero * floor), 0, "//", transform=axes.get_xaxis_transform(), ha="center", va="center",
        color=PALETTE["muted"],
    )  # fmt: skip
    alt = ", ".join(f"grade {grade} {_percent(current[grade])}" for grade in GRADES)
    alt = f"Share of Ratingen grades in this batch: {alt}. {len(past)} earlier batches for comparison."
    return svg_element(figure, "grades", alt)


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    if share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def local_mean(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return a LOESS of degree 1: lines fitted to the neighbours of each grid point with tricube weights.

    Cleveland, Robust locally weighted regression and smoothing scatterplots, JASA 74 (1979) 829-836, without the
    robustness iterations: most Rau scores are small, and the few large ones are findings, not outliers. `x` and `y` are
    finite, (n,), with at least two different values of `x`.

    Returns:
        A grid between the 1 % and 99 % quantiles of x, and the fitted values, (60,) each.
    """
    grid = np.linspace(np.quantile(x, 0.01), np.quantile(x, 0.99), 60)
    neighbours = min(len(x), max(2, int(np.ceil(SMOOTHER_SPAN * len(x)))))
    fitted = np.empty_like(grid)
    for i, centre in enumerate(grid):
        distance = np.abs(x - centre)
        reach = np.partition(distance, neighbours - 1)[neighbours - 1]
        weight = (1 - np.minimum(distance / max(reach, 1e-9), 1) ** 3) ** 3
        mean_x, mean_y = np.average(x, weights=weight + 1e-12), np.average(y, weights=weight + 1e-12)
        spread = np.sum(weight * (x - mean_x) ** 2)
        slope = np.sum(weight * (x - mean_x) * (y - mean_y)) / spread if spread > 1e-9 else 0.0
        fitted[i] = mean_y + slope * (centre - mean_x)
    return grid, fitted


@styled
def rau_against_das28(points: pd.DataFrame, activity: str) -> str:
    """Draw the reported and the predicted Rau score against one DAS28 form, each with its local mean.

    At most `MAX_POINTS` visits per series are drawn, at equal steps in order of DAS28. The lines are fitted to all.
    `points` has the columns activity, das28, damage and rau, and contains rows of `activity`.
    """
    visits = points.loc[points["activity"] == activity].dropna(subset=["das28", "rau"])
    figure, axes = rau_das28_axes(272, visits, activity)
    alt = []
    for damage, colour in COLOURS.items():
        series = visits.loc[visits["damage"] == damage].sort_values(["das28", "rau"], kind="stable")
        if series.empty:
            continue
        x, y = (series[name].to_numpy(dtype=float) for name in ("das28", "rau"))
        shown = equal_steps(len(x))
        axes.scatter(x[shown], y[shown], s=9, marker=MARKERS[damage], color=colour, alpha=0.35, linewidths=0)
        alt.append(f"{DAMAGE_LABELS[damage]}: {len(x)} visits, median Rau {np.median(y):.1f}")
        if len(x) >= SMOOTHER_MIN_VISITS and np.ptp(x) > 0:
            grid, fitted = local_mean(x, y)
            axes.plot(grid, np.maximum(fitted, 0), color=colour, linewidth=2.2, zorder=4)
    return svg_element(figure, activity, f"Rau score against {ACTIVITY_LABELS[activity]}. {'; '.join(alt)}.")


def forest_method(correlation: pd.DataFrame) -> str:
    """Return the method of the forest plot: the first of Spearman, Kendall and Pearson that has estimates."""
    present = set(correlation.dropna(subset=["estimate"])["method"])
    return next(method for method in _FOREST_METHODS if method in present)


@styled
def correlation_forest(correlation: pd.DataFrame) -> str:
    """Draw correlations (`analytics.correlation`, at least one estimate) with their intervals as a forest plot."""
    method = forest_method(correlation)
    rows = correlation.loc[correlation["method"] == method].dropna(subset=["estimate"])
    activities = [activity for activity in ACTIVITY_LABELS if activity in set(rows["activity"])]
    height = 64 + 34 * len(activities)
    ends = rows[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)
    low, high = min(-0.1, float(np.nanmin(ends)) - 0.03), max(0.3, float(np.nanmax(ends)) + 0.03)
    figure, axes = blank_figure(height, (0.385, 46 / height, 0.59, 1 - 54 / height))
    axes.set(xlim=(max(low, -1.02), min(high, 1.02)), ylim=(len(activities) - 0.5, -0.5))
    axes.axvline(0, color=PALETTE["muted"], linewidth=1)
    axes.grid(axis="x")
    alt = []
    for (_, row), (estimate, ci_low, ci_high) in zip(rows.iterrows(), ends, strict=True):
        damage, activity = row["damage"], row["activity"]
        y = activities.index(activity) + (-0.16 if damage == "reported_rau" else 0.16)
        axes.plot([ci_low, ci_high], [y, y], color=COLOURS[damage], linewidth=2, solid_capstyle="round")
        axes.plot([estimate], [y], marker=MARKERS[damage], color=COLOURS[damage], markersize=6)
        interval = "no interval" if np.isnan(ci_low) else f"{ci_low:.2f} to {ci_high:.2f}"
        pair = f"{ACTIVITY_LABELS[activity]} with {DAMAGE_LABELS[damage]} Rau"
        alt.append(f"{pair} {estimate:.2f} ({interval})")
    labels = [ACTIVITY_LABELS[activity] for activity in activities]
    axes.set_yticks(range(len(activities)), labels, color=PALETTE["ink"])
    axes.set_xlabel(f"{method.title()} correlation with the Rau score")
    return svg_element(figure, "forest", f"{method.title()} correlations. {'; '.join(alt)}.")
