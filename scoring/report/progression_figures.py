"""Figures of the analytics report: damage against activity, correlation over time, progression, one patient.

Each figure contains a mark, such as "Synthetic data", because figures are copied without their report.
"""

from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator
from scipy import stats

from scoring.clinical.rau import HUMAN_SDC
from scoring.report.figure_style import (
    ACTIVITY_LABELS,
    COLOURS,
    DAMAGE_LABELS,
    DAS28_CUTS,
    DAS28_FORMS,
    DASHED,
    MARKERS,
    PALETTE,
    SMOOTHER_MIN_VISITS,
    SMOOTHER_SPAN,
    WIDTH,
    Floats,
    blank_figure,
    equal_steps,
    rau_das28_axes,
    styled,
    svg_element,
)
from scoring.report.formatting import MINUS

DENSITY_SHARES: Final = (0.5, 0.8, 0.95)

# ESR is dark and CRP grey; four variables have a solid line, three a dashed one.
_FORM_STYLES: Final = {
    "das28_esr4": ("ink", "-", "o"),
    "das28_esr3": ("ink", "--", "s"),
    "das28_crp4": ("past", "-", "^"),
    "das28_crp3": ("past", "--", "v"),
}


@styled
def rau_and_das28(points: pd.DataFrame, activity: str, damage: str, mark: str) -> str:
    """Draw the Rau score against one DAS28 form, with density contours and a local mean.

    The contours contain 50, 80 and 95 % of the visits (Gaussian kernel density on the axes as drawn, Scott's rule).
    The line is statsmodels' LOWESS of degree 1 without robustness iterations: large scores are findings, not outliers.

    Args:
        points: Columns activity, das28, damage, rau; must contain rows of `activity` and `damage`.
        activity: The DAS28 form, such as "das28_esr4".
        damage: "reported_rau" or "predicted_rau".
        mark: Note on the origin of the data; may be empty.
    """
    from statsmodels.nonparametric.smoothers_lowess import lowess

    visits = points[(points["activity"] == activity) & (points["damage"] == damage)].dropna(subset=["das28", "rau"])
    visits = visits.sort_values(["das28", "rau"], kind="stable")
    x, y = (visits[name].to_numpy(dtype=float) for name in ("das28", "rau"))
    shown = equal_steps(len(x))
    colour = COLOURS[damage]
    figure, axes = rau_das28_axes(290, visits, activity)
    axes.set_ylabel(f"{damage.partition('_')[0]} Rau score (square-root axis)")
    axes.scatter(x[shown], y[shown], s=8, marker=MARKERS[damage], color=colour, alpha=0.3, linewidths=0)
    if len(x) >= SMOOTHER_MIN_VISITS and np.ptp(x) > 0 and np.ptp(y) > 0:
        _density(axes, x, np.sqrt(y))
        smooth = lowess(y, x, frac=SMOOTHER_SPAN, it=0, delta=0.01 * np.ptp(x), is_sorted=True)
        inner = slice(len(x) // 100, len(x) - len(x) // 100)
        axes.plot(smooth[inner, 0], np.maximum(smooth[inner, 1], 0), color=colour, linewidth=2.4, zorder=4)
    alt = f"Rau score {DAMAGE_LABELS[damage]} against {ACTIVITY_LABELS[activity]}, {len(x)} visits."
    return _marked(figure, f"{damage}-{activity}", alt, mark)


@styled
def correlation_over_time(correlation: pd.DataFrame, activity: str, mark: str) -> str:
    """Draw Spearman's correlation of the Rau score with one measure of activity, by the date of its computation.

    `correlation` has the columns as_of, damage, activity, method, estimate, ci_low and ci_high, and contains an
    estimate of `activity`.
    """
    rows = correlation[(correlation["activity"] == activity) & (correlation["method"] == "spearman")]
    rows = rows.dropna(subset=["estimate"]).sort_values("as_of")
    ends = rows[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)
    figure, axes = blank_figure(225, (0.15, 0.135, 0.83, 0.725))
    axes.axhline(0, color=PALETTE["muted"], linewidth=1)
    limits = _date_limits(rows["as_of"], 0.8)
    alt = []
    for number, (damage, found) in enumerate(rows.groupby("damage", sort=False)):
        when = _days(found["as_of"]) + number * 0.01 * (limits[1] - limits[0])
        estimate, low, high = found[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float).T
        axes.errorbar(
            when, estimate, yerr=np.maximum([estimate - low, high - estimate], 0), color=COLOURS[str(damage)],
            elinewidth=1, linewidth=1.8, marker=MARKERS[str(damage)], markersize=5, capsize=0, alpha=0.9,
        )  # fmt: skip
        alt.append(f"{DAMAGE_LABELS[str(damage)]} last {estimate[-1]:.2f}")
    bottom, top = min(float(np.nanmin(ends)), -0.1) - 0.03, max(float(np.nanmax(ends)), 0.3) + 0.03
    axes.set(ylim=(max(bottom, -1.02), min(top, 1.02)), ylabel="Spearman correlation")
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="y")
    _date_axis(axes, limits)
    _legend(axes, set(rows["damage"]))
    name = f"Correlation of the Rau score with {ACTIVITY_LABELS[activity]} over time: {', '.join(alt)}."
    return _marked(figure, f"over-time-{activity}", name, mark)


@styled
def progression_waterfall(changes: pd.DataFrame, mark: str) -> str:
    """Draw the changes of the Rau score between consecutive radiographs of a patient, in ascending order.

    This is a probability plot (Landewe, van der Heijde, Arthritis Rheum 2004;50:699-706). Dashed lines mark the
    smallest detectable change of human readers, 6.3 points. The axis ends at the outermost half percent; changes beyond
    it are drawn at its end. `changes` has the columns damage and change (points), and at least one row.
    """
    low, high = (float(np.quantile(changes["change"].to_numpy(dtype=float), q)) for q in (0.005, 0.995))
    low, high = min(low, -2 * HUMAN_SDC) * 1.08, max(high, 2 * HUMAN_SDC) * 1.08
    figure, axes = blank_figure(295, (0.115, 0.15, 0.835, 0.735))
    axes.set(xlim=(0, 100), ylim=(low, high), xlabel="share of radiograph pairs", ylabel="change, points of 190")
    axes.axhline(0, color=PALETTE["muted"], linewidth=1)
    for limit in (-HUMAN_SDC, HUMAN_SDC):
        axes.axhline(limit, color=PALETTE["past"], linewidth=1, linestyle=(0, (4, 3)))
        # The labels avoid the curve, which falls at the left and rises at the right.
        x, side, edge = (1, "left", "bottom") if limit > 0 else (99, "right", "top")
        label, y = f"{limit:+.1f}".replace("-", MINUS), limit + np.sign(limit) * 0.015 * (high - low)
        axes.text(x, y, label, ha=side, va=edge, color=PALETTE["muted"], fontsize=9.5)
    alt = []
    for damage, found in changes.groupby("damage", sort=True):
        change = np.sort(found["change"].to_numpy(dtype=float))
        share = 100 * (np.arange(len(change)) + 0.5) / len(change)
        shown = equal_steps(len(change))
        drawn = np.clip(change, low, high)[shown]
        axes.step(share[shown], drawn, where="mid", color=COLOURS[str(damage)], linewidth=1.8)
        above, below = (change > HUMAN_SDC).mean(), (change < -HUMAN_SDC).mean()
        alt.append(f"{DAMAGE_LABELS[str(damage)]} {100 * above:.0f} % above, {100 * below:.0f} % below")
    axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.grid(axis="y")
    _legend(axes, set(changes["damage"]))
    name = f"Change of the Rau score between consecutive radiographs, beyond {HUMAN_SDC:g} points: {'; '.join(alt)}."
    return _marked(figure, "waterfall", name, mark)


@styled
def patient_timeline(scores: pd.DataFrame, activity: pd.DataFrame, forecast: pd.DataFrame, mark: str) -> str:
    """Draw one patient: Rau scores with intervals and forecasts in the upper panel, DAS28 forms in the lower.

    Args:
        scores: Columns visit_date, reported_rau, rau_expected, rau_q05, rau_q95; at least one score.
        activity: Columns visit_date and the four DAS28 forms.
        forecast: Columns damage, forecast_date, rau_expected, rau_q05, rau_q95; may be empty.
        mark: Note on the origin of the data; may be empty.
    """
    forms = [form for form in DAS28_FORMS if activity[form].notna().any()]
    figure = Figure(figsize=(WIDTH / 72, (390 if forms else 245) / 72))
    axes = figure.add_axes((0.115, 0.487, 0.865, 0.428) if forms else (0.115, 0.16, 0.865, 0.72))
    _scores(axes, scores)
    for row in forecast.to_dict("records"):
        _interval(axes, row, row["forecast_date"], str(row["damage"]), forecast=True)
    axes.set(ylim=(0, max(20.0, axes.get_ylim()[1])), ylabel="Rau score")
    axes.grid(axis="y")
    _legend(axes, set(COLOURS))
    limits = _date_limits(pd.concat([scores["visit_date"], activity["visit_date"], forecast["forecast_date"]]), 45)
    _date_axis(axes, limits)
    if forms:
        axes.tick_params(labelbottom=False)
        _activity(figure.add_axes((0.115, 0.146, 0.865, 0.283)), activity, forms, limits)
    alt = f"One patient: {len(scores)} visits with a Rau score, DAS28 at {len(activity)} visits."
    return _marked(figure, "timeline", alt, mark)


def _scores(axes: Axes, scores: pd.DataFrame) -> None:
    predicted = scores.dropna(subset=["rau_expected"])
    for row in predicted.to_dict("records"):
        _interval(axes, row, row["visit_date"], "predicted_rau")
    axes.plot(_days(predicted["visit_date"]), predicted["rau_expected"], color=COLOURS["predicted_rau"], linewidth=1.2)
    reported = scores.dropna(subset=["reported_rau"])
    axes.plot(
        _days(reported["visit_date"]), reported["reported_rau"], color=COLOURS["reported_rau"],
        linewidth=1.2, marker="o", markersize=6, clip_on=False,
    )  # fmt: skip


def _interval(axes: Axes, row: dict[Any, Any], on: date, damage: str, *, forecast: bool = False) -> None:
    """Draw a score with its 90 % interval; a forecast has a hollow mark and a dotted interval."""
    when = float(_days(pd.Series([on]))[0])
    if forecast:
        # Both series are forecast for about the same day, so they are drawn apart.
        when += 20 if damage == "predicted_rau" else -20
    axes.plot(
        [when, when], [row["rau_q05"], row["rau_q95"]], color=COLOURS[damage], linewidth=1.6,
        linestyle=(0, (1.5, 1.5)) if forecast else "-", alpha=1 if forecast else 0.55,
    )  # fmt: skip
    axes.plot(
        [when], [row["rau_expected"]], marker=MARKERS[damage], markersize=6, color=COLOURS[damage],
        markerfacecolor="none" if forecast else COLOURS[damage], clip_on=False,
    )  # fmt: skip


def _activity(axes: Axes, activity: pd.DataFrame, forms: list[str], limits: tuple[float, float]) -> None:
    top = max(6.0, float(np.nanmax(activity[forms].to_numpy(dtype=float))) + 0.4)
    for cut in DAS28_CUTS:
        axes.axhline(cut, color=PALETTE["past"], linewidth=0.8, linestyle=DASHED, zorder=0)
    for form in forms:
        # The forms are not interchangeable: no line connects one with another.
        found = activity.dropna(subset=[form])
        colour, line, marker = _FORM_STYLES[form]
        axes.plot(
            _days(found["visit_date"]), found[form].astype(float), color=PALETTE[colour], linewidth=1.2,
            linestyle=line, marker=marker, markersize=4.5,
            label=ACTIVITY_LABELS[form].removeprefix("DAS28-").replace("variables", "var."),
        )  # fmt: skip
    axes.set(ylim=(0, top), ylabel="DAS28")
    axes.yaxis.set_major_locator(FixedLocator([0, *DAS28_CUTS]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.tick_params(axis="y", labelsize=8.5)
    _date_axis(axes, limits)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(forms), frameon=False, fontsize=9, handlelength=2.4,
        columnspacing=1.4,
    )  # fmt: skip


def _density(axes: Axes, x: Floats, root: Floats) -> None:
    """Draw contours of the smallest regions that contain these shares of the visits, on the axes as drawn."""
    shown = np.random.default_rng(0).permutation(len(x))[:2000]
    sample = np.vstack([x[shown], root[shown]])
    kernel = stats.gaussian_kde(sample)
    across = np.linspace(0, axes.get_xlim()[1], 60)
    up = np.linspace(0, float(np.sqrt(axes.get_ylim()[1])), 60)
    grid_x, grid_y = np.meshgrid(across, up)
    density = kernel(np.vstack([grid_x.ravel(), grid_y.ravel()])).reshape(grid_x.shape)
    levels = sorted({float(np.quantile(kernel(sample), 1 - share)) for share in DENSITY_SHARES})
    axes.contour(across, up**2, density, levels=levels, colors=[PALETTE["ink"]], linewidths=0.9, alpha=0.55, zorder=3)


def _date_axis(axes: Axes, limits: tuple[float, float]) -> None:
    """Set the limits and at most six ticks, on years, months or days, depending on the length of the axis."""
    axes.set_xlim(limits)
    first, last = (pd.Timestamp(1970, 1, 1) + pd.Timedelta(days=end) for end in limits)
    length = (last - first).days
    step, form = ("YS", "%Y") if length > 1500 else ("MS", "%b %Y") if length > 120 else ("D", "%Y-%m-%d")
    # A label at the very end would be cut off.
    every = pd.date_range(first.ceil("D"), last - 0.06 * (last - first), freq=step)
    ticks = every[:: -(-len(every) // (6 if step == "YS" else 4))]
    axes.set_xticks(_days(pd.Series(ticks)), list(ticks.strftime(form)))


def _days(dates: "pd.Series[Any]") -> Floats:
    """Return dates as days since 1970, the unit of matplotlib's date axes."""
    return pd.to_datetime(dates).to_numpy().astype("datetime64[D]").astype(np.float64)


def _date_limits(dates: "pd.Series[Any]", least_margin: float) -> tuple[float, float]:
    """Return limits of a date axis with a margin of 4 % or this many days, whichever is longer."""
    days = _days(dates)
    margin = max(least_margin, 0.04 * float(np.ptp(days)))
    return float(days.min()) - margin, float(days.max()) + margin


def _legend(axes: Axes, damages: set[str]) -> None:
    """Draw the legend above the axes, because a copied figure must be clear without its report."""
    shown = [damage for damage in COLOURS if damage in damages]
    handles = [
        Line2D([], [], color=COLOURS[damage], marker=MARKERS[damage], markersize=5, linewidth=1.6) for damage in shown
    ]
    axes.legend(
        handles, [DAMAGE_LABELS[damage] for damage in shown], loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=2,
        frameon=False, fontsize=9, handlelength=2, columnspacing=1.4, labelcolor=PALETTE["muted"],
    )  # fmt: skip


def _marked(figure: Figure, name: str, alt: str, mark: str) -> str:
    """Return the figure as an SVG element with the mark in its upper right corner and its alternative text."""
    figure.text(0.985, 0.99, mark, ha="right", va="top", fontsize=8.5, color=PALETTE["muted"])
    return svg_element(figure, name, f"{alt} {mark}".strip())
