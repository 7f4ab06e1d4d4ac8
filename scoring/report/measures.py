"""Labels, explanations and number formats of the measures in a model card."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scoring.report.formatting import DASH, MINUS, SPACE, signed, thousands

Kind = Literal["share", "percent", "count", "rau", "score"]


@dataclass(frozen=True)
class Measure:
    """A measure and its number format.

    Attributes:
        label: Name of the measure.
        kind: `share` (.716), `percent` of joint surface (2.28 %), `count`, `rau` (points of 190) or `score`.
        meaning: Explanation for a reader who does not know the measure.
    """

    label: str
    kind: Kind
    meaning: str


AGREEMENT: Final[Mapping[str, Measure]] = {
    "class_normalized_accuracy": Measure(
        "class-normalised accuracy",
        "share",
        "share of correct grades, averaged over the six grades: rare grades count as much as common ones",
    ),
    "quadratic_weighted_kappa": Measure(
        "quadratic weighted kappa", "share", "agreement beyond chance, weighted by the squared distance of the grades"
    ),
    "accuracy_and_kappa": Measure(
        "accuracy and kappa", "share", "mean of the two measures above; selects epochs, recipes and champions"
    ),
    "accuracy": Measure("accuracy", "share", "share of joints with the correct grade"),
    "within_one_accuracy": Measure(
        "±1, class-normalised", "share", "a neighbouring grade counts as correct, because many readings are on a border"
    ),
    "border_aware_accuracy": Measure(
        "border-aware, class-normalised", "share", "any grade within 2.5 percentage points of the reading is correct"
    ),
    "gross_errors": Measure("gross errors", "count", "joints that are three or more grades off"),
    "erosion_unweighted_recall": Measure(
        "any erosion", "share", "balanced accuracy for grade 1 or higher: mean of sensitivity and specificity"
    ),
    "sensitivity_at_99_specificity": Measure(
        "grade 2 or higher, sensitivity", "share", "at 99 % specificity, by expected erosion"
    ),
    "mae": Measure("mean absolute error", "percent", "of the expected erosion"),
    "mse": Measure("mean squared error", "score", "of the expected erosion, in percent squared"),
    "r2": Measure("R²", "share", "share of the variance of the erosion that is explained"),
    "icc": Measure("ICC(2,1)", "share", "absolute agreement of read and predicted erosion, as of two raters"),
    "crps": Measure("CRPS", "score", "distance of the predicted distribution from the reading; 0 is best"),
}
CALIBRATION: Final[Mapping[str, Measure]] = {
    "pit_calibration_error": Measure(
        "calibration error, distribution",
        "share",
        "distance of the probability integral transform from uniform; 0 is best",
    ),
    "grade_calibration_error": Measure(
        "calibration error, grade",
        "share",
        "predicted minus observed probability of the most probable grade; 0 is best",
    ),
    "coverage_90": Measure("coverage of the 90 % interval", "share", "share of readings inside; the target is .9"),
    "interval_width": Measure("width of the 90 % interval", "percent", "mean width, in percent of joint surface"),
}
MEASURES: Final[Mapping[str, Measure]] = {**AGREEMENT, **CALIBRATION}


def show(value: float | None, kind: Kind) -> str:
    """Return a value with the digits that suit its kind; a dash if it is missing."""
    if value is None or math.isnan(value):
        return DASH
    if kind == "count":
        return thousands(value)
    if kind == "percent":
        return f"{value:.2f}{SPACE}%"
    if kind == "rau":
        return signed(value, digits=1)
    if kind == "score":
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:.4f}".lstrip("0")
    rounded = f"{value:.3f}".replace("-", MINUS)
    return rounded.replace("0.", ".", 1) if abs(value) < 0.9995 else rounded


def show_interval(limits: Sequence[float | None] | None, kind: Kind) -> str:
    """Return an interval such as ".702 to .729"; empty if it is missing."""
    if limits is None or any(limit is None for limit in limits):
        return ""
    low, high = (show(limit, kind).removesuffix(f"{SPACE}%") for limit in limits)
    return f"{low} to {high}"
