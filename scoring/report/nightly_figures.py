"""Figures of the page, as inline SVG.

Each figure is about 400 units wide, so that a phone shows its text at reading size and a desktop places two in a row.
Colours are written as CSS variables with the light colour as fallback: the page turns them dark with everything else.
The same frame gives the same bytes.
"""

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

Floats = npt.NDArray[np.float64]

# Okabe and Ito's palette (Color Universal Design, 2008): told apart with any common colour blindness, and the two
# series also differ in shape. The names are the CSS variables of templates/night.css.
PALETTE: Final = {
    "ink": "#1c2127",
    "muted": "#5b6570",
    "grid": "#e3e7eb",
    "past": "#a3adb8",
    "reported": "#0072b2",
    "predicted": "#d55e00",
}

GRADES: Final = range(6)
DAMAGE_LABELS: Final = {"reported_rau": "reported by readers", "predicted_rau": "predicted"}
ACTIVITY_LABELS: Final = {
    "das28_esr4": "DAS28-ESR, 4 variables",
    "das28_esr3": "DAS28-ESR, 3 variables",
    "das28_crp4": "DAS28-CRP, 4 variables",
    "das28_crp3": "DAS28-CRP, 3 variables",
    "physician_global": "Physician's global",
    "patient_global": "Patient's global",
}
DAS28_FORMS: Final = tuple(activity for activity in ACTIVITY_LABELS if activity.startswith("das28"))

SMOOTHER_SPAN: Final = 0.5
SMOOTHER_MIN_VISITS: Final = 30
MAX_POINTS: Final = 700

_SERIES: Final = {"reported_rau": ("reported", "o"), "predicted_rau": ("predicted", "D")}
# Of the three, the one that neither the skew of the Rau score nor a few severe visits can bend (domain.md, 5).
_FOREST_METHODS: Final = ("spearman", "kendall", "pearson")


@contextmanager
def style() -> Iterator[None]:
    """The look that all figures share, while they are drawn."""
    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "scoring.report",
            "font.family": "DejaVu Sans",
            "font.size": 10.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "axes.edgecolor": PALETTE["muted"],
            "axes.labelcolor": PALETTE["muted"],
            "axes.linewidth": 0.8,
            "grid.color": PALETTE["grid"],
            "grid.linewidth": 0.8,
            "text.color": PALETTE["ink"],
            "xtick.color": PALETTE["muted"],
            "ytick.color": PALETTE["muted"],
            "ytick.left": False,
            "axes.axisbelow": True,
        }
    ):
        yield


def _hoist_style(group: re.Match[str]) -> str:
    """Move the style that all marks of one group share to the group: a scatter shrinks to half."""
    styles = set(re.findall(r'style="([^"]*)"', group["marks"]))
    if len(styles) != 1:
        return group[0]
    style = styles.pop()
    return f'{group["open"]} style="{style}">' + group["marks"].replace(f' style="{style}"', "")


def svg_element(figure: Figure, name: str, alt: str) -> str:
    """The figure as an SVG element for an HTML page: own ids, CSS colours, the page's font, no metadata."""
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        transparent=True,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    svg = buffer.getvalue()
    viewbox = re.search(r'viewBox="([^"]+)"', svg)
    assert viewbox is not None  # noqa: S101 - matplotlib always writes one
    body = svg[svg.index(">", viewbox.end()) + 1 :]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;\"]+;? ?", "", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r"(?<= )id=\"([^\"]+)\"", rf'id="{name}-\1"', body)
    body = re.sub(r"(href=\"#|url\(#)", rf"\g<1>{name}-", body)
    for variable, colour in PALETTE.items():
        body = body.replace(colour, f"var(--{variable},{colour})")
    body = re.sub(r"\s+", " ", body).replace("> <", "><")
    body = re.sub(r'(?P<open><g clip-path="[^"]*")>(?P<marks>(?:<use [^>]*/>)+)', _hoist_style, body)
    return f'<svg class="chart" viewBox="{viewbox[1]}" role="img" aria-label="{html.escape(alt)}">{body}'


def _percent(share: float) -> str:
    if share == 0:
        return "0 %"
    if share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def grade_shares(counts: pd.DataFrame) -> dict[date, Floats]:
    """Shares of the Ratingen grades of every night.

    Args:
        counts: columns batch_date, predicted_grade, n.

    Returns:
        The (6,) shares of grades 0-5 by night, oldest first; they sum to 1. Nights without joints are left out.
    """
    table = counts.pivot_table(
        index="batch_date", columns="predicted_grade", values="n", aggfunc="sum", fill_value=0
    ).reindex(columns=list(GRADES), fill_value=0)
    nights = zip(table.index, table.to_numpy(dtype=float), strict=True)
    return {night: n / n.sum() for night, n in sorted(nights, key=lambda item: item[0]) if n.sum() > 0}


def grade_distribution(counts: pd.DataFrame, batch_date: date) -> str:
    """Dot plot of the share of every grade, tonight against earlier nights, on a logarithmic axis.

    Two of three joints are grade 0 and one of a hundred is grade 3: on a linear axis a doubled grade 3 is invisible.
    A share of zero stands left of a gap, at a place of its own.

    Args:
        counts: columns batch_date, predicted_grade, n; must hold joints of `batch_date`.
        batch_date: tonight.
    """
    shares = grade_shares(counts)
    tonight = shares.pop(batch_date)
    past = np.array(list(shares.values())).reshape(-1, len(GRADES))
    every = np.vstack([past, tonight])
    floor = min(0.01, _decade_below(float(every[every > 0].min())))
    zero = floor / 3.5

    with style():
        figure = Figure(figsize=(400 / 72, 232 / 72))
        axes = figure.add_axes((0.115, 0.2, 0.735, 0.78))
        axes.set_xscale("log")
        axes.set_xlim(zero / 1.5, 1.25)
        axes.set_ylim(5.6, -0.6)
        for grade in GRADES:
            axes.axhline(grade, color=PALETTE["grid"], linewidth=0.8, zorder=0)
            before = past[:, grade]
            # A night to a height of its own: equal shares would hide each other.
            heights = grade + np.linspace(0.22, -0.22, len(before)) if len(before) > 1 else np.full(len(before), grade)
            axes.scatter(np.where(before > 0, before, zero), heights, s=13, color=PALETTE["past"], linewidths=0)
            axes.scatter(
                [tonight[grade] if tonight[grade] > 0 else zero], [grade], s=52, color=PALETTE["predicted"], zorder=3
            )
            axes.text(1.035, grade, _percent(tonight[grade]), transform=axes.get_yaxis_transform(), va="center")
        axes.set_yticks(list(GRADES), [f"{grade}" for grade in GRADES], color=PALETTE["ink"], fontsize=11)
        decades = 10.0 ** np.arange(round(np.log10(floor)), 1)
        axes.xaxis.set_major_locator(FixedLocator([zero, *decades]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "none" if x < floor * 0.9 else f"{100 * x:g} %"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("share of the night's joints (logarithmic)")
        axes.set_ylabel("Ratingen grade")
        _break_mark(axes, float(np.sqrt(zero * floor)))
        alt = "Share of Ratingen grades tonight: " + ", ".join(f"grade {g} {_percent(tonight[g])}" for g in GRADES)
        return svg_element(figure, "grades", f"{alt}. {len(past)} earlier nights for comparison.")


def _decade_below(share: float) -> float:
    return float(10.0 ** np.floor(np.log10(share) + 1e-9))


def _break_mark(axes: Axes, x: float) -> None:
    axes.text(x, 0, "//", transform=axes.get_xaxis_transform(), ha="center", va="center", color=PALETTE["muted"])


def local_mean(x: Floats, y: Floats, span: float = SMOOTHER_SPAN, n_grid: int = 60) -> tuple[Floats, Floats]:
    """LOESS of degree 1: a line fitted at each grid point to the nearest share of the data, with tricube weights.

    Cleveland, Robust locally weighted regression and smoothing scatterplots, JASA 74 (1979) 829-836, without the
    robustness iterations: a Rau score is mostly small, and the few large ones are findings, not outliers.

    Args:
        x: (n,) finite values, at least two of them different.
        y: (n,) finite values.
        span: share of the points that each fit sees.
        n_grid: number of grid points between the 1 % and 99 % quantiles of x.

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
    """The DAS28 forms that have at least one visit with a Rau score, in the order of the page."""
    present = set(points.dropna(subset=["das28", "rau"])["activity"])
    return [form for form in DAS28_FORMS if form in present]


def rau_against_das28(points: pd.DataFrame, activity: str) -> str:
    """Scatter of the Rau score against one form of the DAS28, reported and predicted, each with its local mean.

    The Rau axis is a square root: most scores are small, and zero must stay visible. At most `MAX_POINTS` visits a
    series are drawn, taken at equal steps in order of DAS28; the line is fitted to all of them.

    Args:
        points: columns activity, das28, damage, rau; must hold rows of `activity`.
        activity: the DAS28 form, such as "das28_esr4".
    """
    form = points.loc[points["activity"] == activity].dropna(subset=["das28", "rau"])
    top = max(20.0, float(form["rau"].max()) * 1.06)
    right = max(7.0, float(np.ceil(form["das28"].max())))
    with style():
        figure = Figure(figsize=(400 / 72, 272 / 72))
        axes = figure.add_axes((0.115, 0.165, 0.865, 0.72))
        axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
        axes.set_xlim(0, right)
        axes.set_ylim(0, top)
        _activity_classes(axes, right)
        alt = []
        for damage, (colour, marker) in _SERIES.items():
            series = form.loc[form["damage"] == damage].sort_values(["das28", "rau"], kind="stable")
            if series.empty:
                continue
            x, y = series["das28"].to_numpy(dtype=float), series["rau"].to_numpy(dtype=float)
            shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).round().astype(int))
            axes.scatter(
                x[shown], y[shown], s=9, marker=marker, color=PALETTE[colour], alpha=0.35, linewidths=0, clip_on=True
            )
            alt.append(f"{DAMAGE_LABELS[damage]}: {len(x)} visits, median Rau {np.median(y):.1f}")
            if len(x) >= SMOOTHER_MIN_VISITS and np.ptp(x) > 0:
                grid, fitted = local_mean(x, y)
                axes.plot(grid, np.maximum(fitted, 0), color=PALETTE[colour], linewidth=2.2, zorder=4)
        axes.yaxis.set_major_locator(FixedLocator([t for t in (0, 2, 5, 10, 20, 50, 100, 190) if t <= top]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y")
        axes.set_xlabel(ACTIVITY_LABELS[activity])
        axes.set_ylabel("Rau score (square-root axis)")
        return svg_element(figure, activity, f"Rau score against {ACTIVITY_LABELS[activity]}. " + "; ".join(alt) + ".")


def _activity_classes(axes: Axes, right: float) -> None:
    cuts = (0.0, 2.6, 3.2, 5.1, right)
    for cut in cuts[1:-1]:
        axes.axvline(cut, color=PALETTE["past"], linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    for label, low, high in zip(("remission", "low", "moderate", "high"), cuts[:-1], cuts[1:], strict=True):
        axes.text(
            (low + high) / 2,
            1.025,
            label,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=9.5,
            color=PALETTE["muted"],
        )


def forest_method(correlation: pd.DataFrame) -> str:
    """The method the forest plot shows: the first of Spearman, Kendall and Pearson that has estimates."""
    present = set(correlation.dropna(subset=["estimate"])["method"])
    return next(method for method in _FOREST_METHODS if method in present)


def correlation_forest(correlation: pd.DataFrame) -> str:
    """Forest plot: one estimate with its interval a measure of activity, reported and predicted Rau side by side.

    Args:
        correlation: columns of `analytics.correlation`; at least one estimate must not be null.
    """
    method = forest_method(correlation)
    rows = correlation.loc[correlation["method"] == method].dropna(subset=["estimate"])
    activities = [activity for activity in ACTIVITY_LABELS if activity in set(rows["activity"])]
    height = 64 + 34 * len(activities)
    ends = rows[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)
    low, high = min(-0.1, float(np.nanmin(ends)) - 0.03), max(0.3, float(np.nanmax(ends)) + 0.03)
    with style():
        figure = Figure(figsize=(400 / 72, height / 72))
        axes = figure.add_axes((0.385, 46 / height, 0.59, 1 - 54 / height))
        axes.set_xlim(max(low, -1.02), min(high, 1.02))
        axes.set_ylim(len(activities) - 0.5, -0.5)
        axes.axvline(0, color=PALETTE["muted"], linewidth=1)
        axes.grid(axis="x")
        alt = []
        for row in rows.itertuples():
            if row.activity not in activities or row.damage not in _SERIES:
                continue
            colour, marker = _SERIES[str(row.damage)]
            y = activities.index(str(row.activity)) + (-0.16 if row.damage == "reported_rau" else 0.16)
            estimate, low_end, high_end = (float(value) for value in (row.estimate, row.ci_low, row.ci_high))  # type: ignore[arg-type]
            axes.plot([low_end, high_end], [y, y], color=PALETTE[colour], linewidth=2, solid_capstyle="round")
            axes.plot([estimate], [y], marker=marker, color=PALETTE[colour], markersize=6)
            interval = "no interval" if np.isnan(low_end) else f"{low_end:.2f} to {high_end:.2f}"
            pair = f"{ACTIVITY_LABELS[str(row.activity)]} with {DAMAGE_LABELS[str(row.damage)]} Rau"
            alt.append(f"{pair} {estimate:.2f} ({interval})")
        axes.set_yticks(
            range(len(activities)), [ACTIVITY_LABELS[activity] for activity in activities], color=PALETTE["ink"]
        )
        axes.set_xlabel(f"{method.title()} correlation with the Rau score")
        return svg_element(figure, "forest", f"{method.title()} correlations. " + "; ".join(alt) + ".")
