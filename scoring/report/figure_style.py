"""Style, labels and axes that all figures share, and their conversion to SVG.

Each figure is 400 points wide, so that its text is readable on a phone and two figures fit side by side on a desktop.
Colours are CSS variables with the light colour as fallback, so that figures follow the dark mode of the report. The
same data give the same bytes.
"""

import html
import io
import re
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

Floats = npt.NDArray[np.float64]
Place = tuple[float, float, float, float]

WIDTH: Final = 400

# Palette of Okabe and Ito (Color Universal Design, 2008), safe for all common forms of colour blindness. The two series
# also differ in shape. The names are the CSS variables of templates/nightly.css.
PALETTE: Final = {
    "ink": "#1c2127",
    "muted": "#5b6570",
    "grid": "#e3e7eb",
    "past": "#a3adb8",
    "reported": "#0072b2",
    "predicted": "#d55e00",
}
COLOURS: Final = {"reported_rau": PALETTE["reported"], "predicted_rau": PALETTE["predicted"]}
MARKERS: Final = {"reported_rau": "o", "predicted_rau": "D"}

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
DAS28_CUTS: Final = (2.6, 3.2, 5.1)
_ACTIVITY_CLASSES: Final = ("remission", "low", "moderate", "high")

SMOOTHER_SPAN: Final = 0.5
SMOOTHER_MIN_VISITS: Final = 30
MAX_POINTS: Final = 700

DASHED: Final = (0, (3, 3))

_RAU_TICKS: Final = (0, 2, 5, 10, 20, 50, 100, 190)


# Decorator of functions that draw a figure; it applies the common style.
styled = mpl.rc_context(
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
)


def blank_figure(height: float, place: Place) -> tuple[Figure, Axes]:
    """Return a figure of the common width with one pair of axes.

    The height is in points; the place (left, bottom, width, height of the axes) in fractions of the figure.
    """
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    return figure, figure.add_axes(place)


def svg_element(figure: Figure, name: str, alt: str) -> str:
    """Return the figure as an SVG element for an HTML document.

    The element has CSS colours, the font of the document, an alternative text and no metadata. The name, unique within
    the document, is the prefix of all ids.
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
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


def _hoist_style(group: re.Match[str]) -> str:
    """Move a style that all marks of a group share to the group, which halves the size of a scatter plot."""
    styles = set(re.findall(r'style="([^"]*)"', group["marks"]))
    if len(styles) != 1:
        return group[0]
    shared = styles.pop()
    return f'{group["open"]} style="{shared}">' + group["marks"].replace(f' style="{shared}"', "")


def standalone(svg: str) -> str:
    """Return an SVG element as an SVG file with light colours, a white background and a named font."""
    plain = re.sub(r"var\(--[a-z]+,(#[0-9a-f]{6})\)", r"\1", svg)
    box = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', plain)
    assert box is not None  # noqa: S101 - svg_element always writes one
    size = f'width="{box[1]}" height="{box[2]}"'
    font = "DejaVu Sans, Verdana, sans-serif"
    attributes, body = plain.removeprefix('<svg class="chart"').split(">", 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{font}"{attributes}>'
        f'<rect {size} fill="#ffffff"/>{body}'
    )


def equal_steps(n: int, at_most: int = MAX_POINTS) -> npt.NDArray[np.int64]:
    """Return at most this many of the indices 0 to n - 1, at equal steps."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(np.int64))


def rau_das28_axes(height: float, points: pd.DataFrame, activity: str) -> tuple[Figure, Axes]:
    """Return an empty plot of the Rau score against one DAS28 form, with the limits of the activity classes.

    The Rau axis is a square root: most scores are small, and zero must stay visible. The points, with the columns das28
    and rau and without missing values, set the limits of the axes.
    """
    right = max(7.0, float(np.ceil(points["das28"].max())))
    top = max(20.0, float(points["rau"].max()) * 1.06)
    figure, axes = blank_figure(height, (0.115, 0.165, 0.865, 0.72))
    axes.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    axes.set(xlim=(0, right), ylim=(0, top), xlabel=ACTIVITY_LABELS[activity], ylabel="Rau score (square-root axis)")
    for cut in DAS28_CUTS:
        axes.axvline(cut, color=PALETTE["past"], linewidth=0.8, linestyle=DASHED, zorder=0)
    classes = zip(_ACTIVITY_CLASSES, (0, *DAS28_CUTS), (*DAS28_CUTS, right), strict=True)
    for label, low, high in classes:
        axes.text(
            (low + high) / 2, 1.025, label, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
            fontsize=9.5, color=PALETTE["muted"],
        )  # fmt: skip
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in _RAU_TICKS if tick <= top]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(axis="y")
    return figure, axes
