"""The measures of parts of a test set: they show where a model is worse than its mean suggests."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.clinical.joints import COLUMNS, joint_by_column
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation.bootstrap import Against, Interval, Predictions, patient_sums

MIN_PATIENTS = 5
"""Groups of fewer patients are suppressed, to protect the privacy of their patients."""

MEASURES = (
    "accuracy",
    "class_normalized_accuracy",
    "within_one_accuracy",
    "quadratic_weighted_kappa",
    "mae",
    "crps",
    "coverage_90",
)

By = Literal["joint", "side", "exposure", "severity", "year"]
EXPOSURES = ("dark", "medium", "bright")
"""Thirds of a set's images by mean grey value."""

_ORDER: dict[By, tuple[str, ...]] = {"joint": COLUMNS, "exposure": EXPOSURES}


@dataclass(frozen=True)
class Subgroup:
    """The measures of some joints of a set.

    Attributes:
        by: The property that defines the group.
        group: A registry column, `left` or `right`, a third of the images by mean brightness, a Ratingen grade as read,
            or a year.
        n: Number of joints; None if suppressed.
        n_patients: Number of patients; None if suppressed.
        measures: `MEASURES`; empty if suppressed. By severity, there is no kappa, which needs several grades, and the
            class-normalised accuracy is the recall of the grade.
        patient_intervals: Their 95 % intervals from a bootstrap over patients.
    """

    by: By
    group: str
    n: int | None
    n_patients: int | None
    measures: dict[str, float]
    patient_intervals: dict[str, Interval]


def evaluate_subgroups(predictions: Predictions, joints: JointSet, against: Against = "reading") -> list[Subgroup]:
    """Return the main measures by joint, side, exposure, severity and year.

    Differences between groups may be due to chance: of some thirty groups, one or two are outside their interval.
    Groups of fewer than `MIN_PATIENTS` patients are listed and suppressed.
    """
    reference = joints.reading if against == "reading" else joints.truth
    groupings: dict[By, NDArray[np.generic]] = {
        "joint": joints.joint,
        "side": side(joints),
        "exposure": exposure(joints),
        "severity": np.asarray(ratingen.grade(reference), dtype=np.int64),
        "year": joints.year,
    }
    # The groups need no pixels, and copying them would take most of the time.
    bare = replace(joints, images=joints.images[:, :0, :0])
    found = []
    for by, group in groupings.items():
        present = set(group.tolist())
        for name in _ORDER.get(by, sorted(present)):
            if name in present:
                chosen = np.flatnonzero(group == name)
                found.append(_evaluate(by, str(name), predictions.take(chosen), bare.take(chosen), against))
    return found


def exposure(joints: JointSet) -> NDArray[np.str_]:
    """Return the third of the set's images by mean grey value that each joint is in, one of `EXPOSURES`, `(n,)`."""
    brightness = joints.images.mean(axis=(1, 2))
    third: NDArray[np.intp] = np.searchsorted(np.quantile(brightness, (1 / 3, 2 / 3)), brightness)
    return np.array(EXPOSURES)[third]


def side(joints: JointSet) -> NDArray[np.str_]:
    """Return `left` or `right` for each joint, `(n,)`."""
    columns, index = np.unique(joints.joint, return_inverse=True)
    return np.array([joint_by_column(str(column)).side for column in columns])[index]


def _evaluate(by: By, group: str, predictions: Predictions, joints: JointSet, against: Against) -> Subgroup:
    if len(np.unique(joints.patient_id)) < MIN_PATIENTS:
        return Subgroup(by, group, None, None, {}, {})
    sums = patient_sums(predictions, joints, against)
    names = [name for name in MEASURES if by != "severity" or name != "quadratic_weighted_kappa"]
    estimates, intervals = sums.estimates(), sums.intervals()
    measures, limits = {name: estimates[name] for name in names}, {name: intervals[name] for name in names}
    return Subgroup(by, group, len(joints), sums.n_patients, measures, limits)
