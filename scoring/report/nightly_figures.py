"""Figures of the nightly report: grade distribution, Rau score against DAS28, correlations."""

from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from scoring.report.figure_style import (
    ACTIVITY_LABELS,
    COLOURS,
    DAMAGE_LABELS,
    DAS28_FORMS,
    GRADES,
    MARKERS,
    PALETTE,
    SMOOTHER_MIN_VISITS,
    SMOOTHER_SPAN,
    Floats,
    blank_figure,
    equal_steps,
    rau_das28_axes,
    style,
    svg_element,
)

# In order of preference: the skew of the Rau score and a few severe visits distort Pearson's coefficient most.
_FOREST_METHODS: Final = ("spearman", "kendall", "pearson")


def grade_shares(counts: pd.DataFrame) -> dict[date, Floats]:
    """Return the shares of the Ratingen grades in each batch.

    Args:
        counts: Columns batch_date, predicted_grade, n.

    Returns:
        Shares of grades 0-5, (6,), by batch date, oldest first. They sum to 1; batches without joints are left out.
    """
    table = counts.pivot_table(
        index="batch_date", columns="predicted_grade", values="n", aggfunc="sum", fill_value=0
    ).reindex(columns=list(GRADES), fill_value=0)
    batches = zip(table.index, table.to_numpy(dtype=float), strict=True)
    return {day: n / n.sum() for day, n in sorted(batches, key=lambda item: item[0]) if n.sum() > 0}


def grade_distribution(counts: pd.DataFrame, batch_date: date) -> str:
    """Draw the share of each grade in one batch and in earlier batches, as a dot plot with a logarithmic axis.

    Two of three joints are grade 0 and one in a hundred is grade 3: on a linear axis, twice as many joints of grade 3
    would not be visible. A share of zero is drawn to the left of a gap in the axis.

    Args:
        counts: Columns batch_date, predicted_grade, n; must contain joints of `batch_date`.
        batch_date: The batch of the report.
    """
    shares = grade_shares(counts)
    current = shares.pop(batch_date)
    past = np.array(list(shares.values())).reshape(-1, len(GRADES))
    all_shares = np.vstack([past, current])
    decade_below = 10.0 ** np.floor(np.log10(all_shares[all_shares > 0].min()) + 1e-9)
    floor = min(0.01, float(decade_below))
    zero = floor / 3.5

    with style():
        figure, axes = blank_figure(232, (0.115, 0.2, 0.735, 0.78))
        axes.set_xscale("log")
        axes.set_xlim(zero / 1.5, 1.25)
        axes.set_ylim(5.6, -0.6)
        for grade in GRADES:
            axes.axhline(grade, color=PALETTE["grid"], linewidth=0.8, zorder=0)
            before = past[:, grade]
            # Each batch has its own height, because equal shares would cover each other.
            heights = grade + np.linspace(0.22, -0.22, len(before)) if len(before) > 1 else np.full(len(before), grade)
            axes.scatter(np.where(before > 0, before, zero), heights, s=13, color=PALETTE["past"], linewidths=0)
            share = current[grade] if current[grade] > 0 else zero
            axes.scatter([share], [grade], s=52, color=PALETTE["predicted"], zorder=3)
            axes.text(1.035, grade, _percent(current[grade]), transform=axes.get_yaxis_transform(), va="center")
        axes.set_yticks(list(GRADES), [f"{grade}" for grade in GRADES], color=PALETTE["ink"], fontsize=11)
        decades = 10.0 ** np.arange(round(np.log10(floor)), 1)
        axes.xaxis.set_major_locator(FixedLocator([zero, *decades]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "none" if x < floor * 0.9 else f"{100 * x:g} %"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("share of joints in the batch (logarithmic)")
        axes.set_ylabel("Ratingen grade")
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


def local_mean(x: Floats, y: Floats, span: float = SMOOTHER_SPAN, n_grid: int = 60) -> tuple[Floats, Floats]:
    """Return a LOESS of degree 1: lines fitted to the neighbours of each grid point with tricube weights.

    Cleveland, Robust locally weighted regression and smoothing scatterplots, JASA 74 (1979) 829-836, without the
    robustness iterations: most Rau scores are small, and the few large ones are findings, not outliers.

    Args:
        x: Finite values, (n,), at least two of them different.
        y: Finite values, (n,).
        span: Share of the points that each fit uses.
        n_grid: Number of grid points between the 1 % and 99 % quantiles of x.

    Returns:
        Grid and fitted values, (n_grid,) each.
    """
    grid = np.linspace(np.quantile(x, 0.01), np.quantile(x, 0.99), n_grid)
    neighbours = min(len(x), max(2, int(np.ceil(span * len(x)))))
    fitted = np.empty(n_grid)
    for i, centre in enumerate(grid):
        distance = np.abs(x - centre)
        reach = np.partition(distance, neighbours - 1)[neighbours - 1]
        weight = (1 - np.minimum(distance / max(reach, 1e-9), 1) ** 3) ** 3
        mean_x, mean_y = np.average(x, weights=weight + 1e-12), np.average(y, weights=weight + 1e-12)
        spread = np.sum(weight * (x - mean_x) ** 2)
        slope = np.sum(weight * (x - mean_x) * (y - mean_y)) / spread if spread > 1e-9 else 0.0
        fitted[i] = mean_y + slope * (centre - mean_x)
    return grid, fitted


def das28_forms_in_use(points: pd.DataFrame) -> list[str]:
    """Return the DAS28 forms with at least one visit that has a Rau score, in the order of the report."""
    present = set(points.dropna(subset=["das28", "rau"])["activity"])
    return [form for form in DAS28_FORMS if form in present]


def rau_against_das28(points: pd.DataFrame, activity: str) -> str:
    """Draw the reported and the predicted Rau score against one DAS28 form, each with its local mean.

    At most `MAX_POINTS` visits per series are drawn, at equal steps in order of DAS28. The lines are fitted to all.

    Args:
        points: Columns activity, das28, damage, rau; must contain rows of `activity`.
        activity: The DAS28 form, such as "das28_esr4".
    """
    visits = points.loc[points["activity"] == activity].dropna(subset=["das28", "rau"])
    with style():
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


def correlation_forest(correlation: pd.DataFrame) -> str:
    """Draw correlations with their intervals as a forest plot, for reported and predicted Rau scores.

    Args:
        correlation: Columns of `analytics.correlation`; at least one estimate must not be null.
    """
    method = forest_method(correlation)
    rows = correlation.loc[correlation["method"] == method].dropna(subset=["estimate"])
    rows = rows[rows["activity"].isin(list(ACTIVITY_LABELS)) & rows["damage"].isin(list(COLOURS))]
    activities = [activity for activity in ACTIVITY_LABELS if activity in set(rows["activity"])]
    height = 64 + 34 * len(activities)
    ends = rows[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)
    low, high = min(-0.1, float(np.nanmin(ends)) - 0.03), max(0.3, float(np.nanmax(ends)) + 0.03)
    with style():
        figure, axes = blank_figure(height, (0.385, 46 / height, 0.59, 1 - 54 / height))
        axes.set_xlim(max(low, -1.02), min(high, 1.02))
        axes.set_ylim(len(activities) - 0.5, -0.5)
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
