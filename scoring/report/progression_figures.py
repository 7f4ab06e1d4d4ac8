"""Figures of damage, activity and the course of the disease, in the style of the night's page.

Every figure takes a mark, such as "Synthetic data", that is written into it: a figure is copied without its page.
"""

from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from scipy import stats

from scoring.clinical.rau import HUMAN_SDC
from scoring.report.nightly_figures import (
    ACTIVITY_LABELS,
    DAMAGE_LABELS,
    DAS28_FORMS,
    MAX_POINTS,
    PALETTE,
    SMOOTHER_MIN_VISITS,
    SMOOTHER_SPAN,
    Floats,
    style,
    svg_element,
)

COLOURS: Final = {"reported_rau": PALETTE["reported"], "predicted_rau": PALETTE["predicted"]}
MARKERS: Final = {"reported_rau": "o", "predicted_rau": "D"}
DENSITY_SHARES: Final = (0.5, 0.8, 0.95)

# ESR dark and CRP grey, four variables with a line and three with dashes.
_FORMS: Final = {
    "das28_esr4": ("ink", "-", "o"),
    "das28_esr3": ("ink", "--", "s"),
    "das28_crp4": ("past", "-", "^"),
    "das28_crp3": ("past", "--", "v"),
}
_ACTIVITY_CUTS: Final = (2.6, 3.2, 5.1)
_TICKS: Final = (0, 2, 5, 10, 20, 50, 100, 190)


def rau_and_das28(points: pd.DataFrame, activity: str, damage: str, mark: str) -> str:
    """Rau score against one form of the DAS28: visits, where most of them lie, and their local mean.

    Contours hold half, 80 % and 95 % of the visits (Gaussian kernel density on the axes as drawn; Scott's bandwidth).
    The line is statsmodels' LOWESS of degree 1 without robustness iterations: large scores are findings, not outliers.

    Args:
        points: Columns activity, das28, damage, rau; must hold rows of the two.
        activity: The form, such as "das28_esr4".
        damage: "reported_rau" or "predicted_rau".
        mark: What the figure says of its data; "" for nothing.
    """
    from statsmodels.nonparametric.smoothers_lowess import lowess

    chosen = points[(points["activity"] == activity) & (points["damage"] == damage)].dropna(subset=["das28", "rau"])
    chosen = chosen.sort_values(["das28", "rau"], kind="stable")
    x, y = chosen["das28"].to_numpy(dtype=float), chosen["rau"].to_numpy(dtype=float)
    shown = _equal_steps(len(x), MAX_POINTS)
    right, top = max(7.0, float(np.ceil(x.max()))), max(20.0, float(y.max()) * 1.06)
    colour = COLOURS[damage]
    with style():
        figure, axes = _figure(290, (0.115, 0.165, 0.865, 0.72))
        axes.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0)), np.square))
        axes.set_xlim(0, right)
        axes.set_ylim(0, top)
        axes.scatter(x[shown], y[shown], s=8, marker=MARKERS[damage], color=colour, alpha=0.3, linewidths=0)
        if len(x) >= SMOOTHER_MIN_VISITS and np.ptp(x) > 0 and np.ptp(y) > 0:
            _density(axes, x, np.sqrt(y), right, float(np.sqrt(top)))
            smooth = lowess(y, x, frac=SMOOTHER_SPAN, it=0, delta=0.01 * np.ptp(x), is_sorted=True)
            inner = slice(len(x) // 100, len(x) - len(x) // 100)
            axes.plot(smooth[inner, 0], np.maximum(smooth[inner, 1], 0), color=colour, linewidth=2.4, zorder=4)
        _classes(axes, right)
        _rau_axis(axes, top)
        axes.set_xlabel(ACTIVITY_LABELS[activity])
        axes.set_ylabel(f"{damage.partition('_')[0]} Rau score (square-root axis)")
        _mark(figure, mark)
        alt = f"Rau score {DAMAGE_LABELS[damage]} against {ACTIVITY_LABELS[activity]}, {len(x)} visits."
        return svg_element(figure, f"{damage}-{activity}", f"{alt} {mark}".strip())


def correlation_over_time(correlation: pd.DataFrame, activity: str, mark: str) -> str:
    """Spearman's correlation of the Rau score with one measure of activity, by the date as of which it was computed.

    Args:
        correlation: Columns as_of, damage, activity, method, estimate, ci_low, ci_high; must hold an estimate of it.
        activity: Such as "das28_esr4".
        mark: What the figure says of its data.
    """
    rows = correlation[(correlation["activity"] == activity) & (correlation["method"] == "spearman")]
    rows = rows.dropna(subset=["estimate"]).sort_values("as_of")
    with style():
        figure, axes = _figure(215, (0.15, 0.14, 0.83, 0.76))
        axes.axhline(0, color=PALETTE["muted"], linewidth=1)
        limits = _span(rows["as_of"], 0.8)
        alt = []
        for number, (damage, found) in enumerate(rows.groupby("damage", sort=False)):
            when = _days(found["as_of"]) + number * 0.01 * (limits[1] - limits[0])
            estimate = found["estimate"].to_numpy(dtype=float)
            low, high = found["ci_low"].to_numpy(dtype=float), found["ci_high"].to_numpy(dtype=float)
            colour = COLOURS[str(damage)]
            axes.errorbar(
                when, estimate, yerr=np.maximum([estimate - low, high - estimate], 0), color=colour, elinewidth=1,
                linewidth=1.8, marker=MARKERS[str(damage)], markersize=5, capsize=0, alpha=0.9,
            )  # fmt: skip
            alt.append(f"{DAMAGE_LABELS[str(damage)]} last {estimate[-1]:.2f}")
        axes.set_xlim(*limits)
        axes.set_ylim(*_around_zero(rows[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.grid(axis="y")
        _date_axis(axes)
        axes.set_ylabel("Spearman correlation")
        _key(axes, list(rows["damage"].unique()))
        _mark(figure, mark)
        name = f"Correlation of the Rau score with {ACTIVITY_LABELS[activity]} over time: {', '.join(alt)}."
        return svg_element(figure, f"over-time-{activity}", f"{name} {mark}".strip())


def progression_waterfall(changes: pd.DataFrame, mark: str) -> str:
    """Change of the Rau score between consecutive radiographs of a patient, from the largest fall to the largest rise.

    A probability plot (Landewe, van der Heijde, Arthritis Rheum 2004;50:699-706), with the smallest detectable change
    of human reading, 6.3 points, as dashed lines. The axis ends at the outermost half percent; what lies beyond is
    drawn at its end.

    Args:
        changes: Columns damage, change (points); at least one row.
        mark: What the figure says of its data.
    """
    every = changes["change"].to_numpy(dtype=float)
    low, high = (float(np.quantile(every, q)) for q in (0.005, 0.995))
    low, high = min(low, -2 * HUMAN_SDC) * 1.08, max(high, 2 * HUMAN_SDC) * 1.08
    with style():
        figure, axes = _figure(285, (0.115, 0.155, 0.835, 0.76))
        axes.set_xlim(0, 100)
        axes.set_ylim(low, high)
        axes.axhline(0, color=PALETTE["muted"], linewidth=1)
        for limit in (-HUMAN_SDC, HUMAN_SDC):
            axes.axhline(limit, color=PALETTE["past"], linewidth=1, linestyle=(0, (4, 3)))
            # Where the curve is not: falls are at the left, rises at the right.
            axes.text(
                1 if limit > 0 else 99, limit + np.sign(limit) * 0.015 * (high - low),
                f"{limit:+.1f}".replace("-", "\N{MINUS SIGN}"), ha="left" if limit > 0 else "right",
                va="bottom" if limit > 0 else "top", color=PALETTE["muted"], fontsize=9.5,
            )  # fmt: skip
        alt = []
        for damage, found in changes.groupby("damage", sort=True):
            change = np.sort(found["change"].to_numpy(dtype=float))
            share = 100 * (np.arange(len(change)) + 0.5) / len(change)
            shown = _equal_steps(len(change), MAX_POINTS)
            drawn = np.clip(change, low, high)[shown]
            colour = COLOURS[str(damage)]
            axes.step(share[shown], drawn, where="mid", color=colour, linewidth=1.8)
            above, below = (change > HUMAN_SDC).mean(), (change < -HUMAN_SDC).mean()
            alt.append(f"{DAMAGE_LABELS[str(damage)]} {100 * above:.0f} % above, {100 * below:.0f} % below")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f} %"))
        axes.grid(axis="y")
        axes.set_xlabel("share of radiograph pairs")
        axes.set_ylabel("change, points of 190")
        _key(axes, list(changes["damage"].unique()))
        _mark(figure, mark)
        name = f"Change of the Rau score between consecutive radiographs, beyond 6.3 points: {'; '.join(alt)}."
        return svg_element(figure, "waterfall", f"{name} {mark}".strip())


def patient_timeline(scores: pd.DataFrame, activity: pd.DataFrame, forecast: pd.DataFrame, mark: str) -> str:
    """One patient: Rau scores with their intervals and forecasts above, the forms of the DAS28 below.

    Args:
        scores: Columns visit_date, reported_rau, rau_expected, rau_q05, rau_q95; at least one score.
        activity: visit_date and the four forms of the DAS28.
        forecast: damage, forecast_date, rau_expected, rau_q05, rau_q95; may be empty.
        mark: What the figure says of its data.
    """
    forms = [form for form in DAS28_FORMS if activity[form].notna().any()]
    with style():
        figure = Figure(figsize=(400 / 72, (380 if forms else 230) / 72))
        upper, lower = (
            ((0.115, 0.5, 0.865, 0.44), (0.115, 0.15, 0.865, 0.29)) if forms else ((0.115, 0.17, 0.865, 0.77),) * 2
        )
        above = figure.add_axes(upper)
        _scores(above, scores)
        for row in forecast.to_dict("records"):
            _interval(above, row, row["forecast_date"], str(row["damage"]), forecast=True)
        above.set_ylim(bottom=0)
        above.set_ylim(0, max(20.0, above.get_ylim()[1]))
        above.grid(axis="y")
        above.set_ylabel("Rau score")
        _key(above, list(COLOURS))
        limits = _span(pd.concat([scores["visit_date"], activity["visit_date"], forecast["forecast_date"]]), 45)
        above.set_xlim(*limits)
        _date_axis(above)
        if forms:
            above.tick_params(labelbottom=False)
            _activity(figure.add_axes(lower), activity, forms, limits)
        _mark(figure, mark)
        alt = f"One patient: {len(scores)} visits with a Rau score, DAS28 at {len(activity)} visits."
        return svg_element(figure, "timeline", f"{alt} {mark}".strip())


def _scores(axes: Axes, scores: pd.DataFrame) -> None:
    predicted = scores.dropna(subset=["rau_expected"])
    for row in predicted.to_dict("records"):
        _interval(axes, row, row["visit_date"], "predicted_rau")
    axes.plot(
        _days(predicted["visit_date"]),
        predicted["rau_expected"],
        color=COLOURS["predicted_rau"],
        linewidth=1.2,
    )
    reported = scores.dropna(subset=["reported_rau"])
    axes.plot(
        _days(reported["visit_date"]), reported["reported_rau"], color=COLOURS["reported_rau"],
        linewidth=1.2, marker="o", markersize=6, clip_on=False,
    )  # fmt: skip


def _interval(axes: Axes, row: dict[Any, Any], on: date, damage: str, *, forecast: bool = False) -> None:
    """A score with its 90 % interval; a forecast is hollow, and its interval dotted."""
    when = float(_days(pd.Series([on]))[0])
    if forecast:
        # Both series are forecast for about the same day.
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
    for cut in _ACTIVITY_CUTS:
        axes.axhline(cut, color=PALETTE["past"], linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    for form in forms:
        found = activity.dropna(subset=[form])
        colour, line, marker = _FORMS[form]
        # The forms are not interchangeable: each has its own line, and no line goes from one to another.
        axes.plot(
            _days(found["visit_date"]), found[form].astype(float), color=PALETTE[colour], linewidth=1.2,
            linestyle=line, marker=marker, markersize=4.5,
            label=ACTIVITY_LABELS[form].replace("DAS28-", "").replace(" variables", ""),
        )  # fmt: skip
    axes.set_xlim(*limits)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(FixedLocator([0, *_ACTIVITY_CUTS]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: "3.2" if v == 3.2 else f"{v:g}"))
    axes.tick_params(axis="y", labelsize=8.5)
    _date_axis(axes)
    axes.set_ylabel("DAS28")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(forms), frameon=False, fontsize=9, handlelength=2.4,
        columnspacing=1.4,
    )  # fmt: skip


def _figure(height: int, place: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(400 / 72, height / 72))
    return figure, figure.add_axes(place)


def _equal_steps(n: int, at_most: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def _density(axes: Axes, x: Floats, root: Floats, right: float, top: float) -> None:
    """Contours of the smallest regions with these shares of the visits, on the axes as drawn."""
    shown = np.random.default_rng(0).permutation(len(x))[:2000]
    kernel = stats.gaussian_kde(np.vstack([x[shown], root[shown]]))
    across, up = np.linspace(0, right, 60), np.linspace(0, top, 60)
    grid_x, grid_y = np.meshgrid(across, up)
    density = kernel(np.vstack([grid_x.ravel(), grid_y.ravel()])).reshape(grid_x.shape)
    levels = sorted({float(np.quantile(kernel(np.vstack([x[shown], root[shown]])), 1 - s)) for s in DENSITY_SHARES})
    axes.contour(across, up**2, density, levels=levels, colors=[PALETTE["ink"]], linewidths=0.9, alpha=0.55, zorder=3)


def _classes(axes: Axes, right: float) -> None:
    for cut in _ACTIVITY_CUTS:
        axes.axvline(cut, color=PALETTE["past"], linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    cuts = (0.0, *_ACTIVITY_CUTS, right)
    for label, low, high in zip(("remission", "low", "moderate", "high"), cuts[:-1], cuts[1:], strict=True):
        axes.text(
            (low + high) / 2, 1.025, label, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
            fontsize=9.5, color=PALETTE["muted"],
        )  # fmt: skip


def _rau_axis(axes: Axes, top: float) -> None:
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if tick <= top]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")


def _date_axis(axes: Axes) -> None:
    """At most six ticks on years, months or days, whichever the limits leave room for."""
    first, last = (pd.Timestamp(1970, 1, 1) + pd.Timedelta(days=float(end)) for end in axes.get_xlim())
    length = (last - first).days
    step, form = ("YS", "%Y") if length > 1500 else ("MS", "%b %Y") if length > 120 else ("D", "%Y-%m-%d")
    # A label at the very end would be cut off.
    every = pd.date_range(first.ceil("D"), last - 0.06 * (last - first), freq=step)
    ticks = every[:: -(-len(every) // (6 if step == "YS" else 4))]
    axes.set_xticks(_days(pd.Series(ticks)), list(ticks.strftime(form)))


def _days(dates: pd.Series) -> Floats:
    """Dates as matplotlib counts them: days since 1970."""
    return np.asarray(pd.to_datetime(dates).to_numpy().astype("datetime64[D]"), dtype="datetime64[D]").astype(
        np.float64
    )


def _span(dates: pd.Series, least_margin: float) -> tuple[float, float]:
    """Limits of a date axis, days, with a margin of 4 % or this many days."""
    days = _days(dates)
    margin = max(least_margin, 0.04 * float(np.ptp(days)))
    return float(days.min()) - margin, float(days.max()) + margin


def _around_zero(ends: Floats) -> tuple[float, float]:
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    return max(min(low, -0.1) - 0.03, -1.02), min(max(high, 0.3) + 0.03, 1.02)


def _key(axes: Axes, damages: list[str]) -> None:
    """Which colour and mark is whose score, above the axes: a figure that is copied has no page to say so."""
    handles = [
        Line2D([], [], color=COLOURS[damage], marker=MARKERS[damage], markersize=5, linewidth=1.6)
        for damage in COLOURS
        if damage in damages
    ]
    labels = [DAMAGE_LABELS[damage] for damage in COLOURS if damage in damages]
    axes.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=2, frameon=False, fontsize=9,
        handlelength=2, columnspacing=1.4, labelcolor=PALETTE["muted"],
    )  # fmt: skip


def _mark(figure: Figure, mark: str) -> None:
    figure.text(0.985, 0.99, mark, ha="right", va="top", fontsize=8.5, color=PALETTE["muted"])
