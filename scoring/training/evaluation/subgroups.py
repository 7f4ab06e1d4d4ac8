"""The measures of parts of a test set: where a model is worse than its mean says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.clinical.joints import COLUMNS, joint_by_column
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import bootstrap
from scoring.training.evaluation.bootstrap import Against, Interval, Predictions

MIN_PATIENTS = 5
"""Groups of fewer patients are suppressed: they tell about persons, not about the model."""

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
        by: What the set was parted by.
        group: A registry column, `left` or `right`, a third of the images by mean brightness, a Ratingen grade as read,
            or a year.
        n: Joints; None where suppressed.
        n_patients: Patients; None where suppressed.
        measures: `MEASURES`; empty where suppressed. By severity there is no kappa, which needs several grades, and
            the class-normalised accuracy is the recall of the grade.
        patient_intervals: Their 95 % intervals from a bootstrap over patients.
    """

    by: By
    group: str
    n: int | None
    n_patients: int | None
    measures: dict[str, float]
    patient_intervals: dict[str, Interval]


def evaluate_subgroups(answers: Predictions, joints: JointSet, against: Against = "reading") -> list[Subgroup]:
    """The main measures by joint, side, exposure, severity and year.

    A difference between groups may come from chance alone: with some thirty groups one or two lie outside their
    interval. Groups of fewer than `MIN_PATIENTS` patients are named and suppressed.

    Args:
        answers: What the model says of every joint of the set.
        joints: The set.
        against: What counts as right.
    """
    found = []
    # The parts need no pixels, and copying these would take most of the time.
    bare = replace(joints, images=joints.images[:, :0, :0])
    for by, group in _keys(joints, against):
        present = set(group.tolist())
        for name in _ORDER[by] if by in _ORDER else sorted(present):
            if name not in present:
                continue
            chosen = np.flatnonzero(group == name)
            found.append(_evaluate(by, str(name), answers.take(chosen), bare.take(chosen), against))
    return found


def exposure(joints: JointSet) -> NDArray[np.str_]:
    """Which third of the set's images by mean grey value each joint is in, one of `EXPOSURES`, `(n,)`."""
    brightness = joints.images.mean(axis=(1, 2))
    third: NDArray[np.intp] = np.searchsorted(np.quantile(brightness, (1 / 3, 2 / 3)), brightness)
    return np.array(EXPOSURES)[third]


def side(joints: JointSet) -> NDArray[np.str_]:
    """`left` or `right`, of each joint, `(n,)`."""
    columns, index = np.unique(joints.joint, return_inverse=True)
    return np.array([joint_by_column(str(column)).side for column in columns])[index]


def _keys(joints: JointSet, against: Against) -> Iterator[tuple[By, NDArray[np.generic]]]:
    right = joints.reading if against == "reading" else joints.truth
    yield "joint", joints.joint
    yield "side", side(joints)
    yield "exposure", exposure(joints)
    yield "severity", np.asarray(ratingen.grade(right), dtype=np.int64)
    yield "year", joints.year


def _evaluate(by: By, group: str, answers: Predictions, joints: JointSet, against: Against) -> Subgroup:
    if len(np.unique(joints.patient_id)) < MIN_PATIENTS:
        return Subgroup(by, group, None, None, {}, {})
    sums = bootstrap.patient_sums(answers, joints, against)
    names = [name for name in MEASURES if by != "severity" or name != "quadratic_weighted_kappa"]
    values = sums.measures(bootstrap.all_once(sums.n_patients))
    resampled = sums.measures(bootstrap.draws(sums.n_patients))
    return Subgroup(
        by=by,
        group=group,
        n=len(joints),
        n_patients=sums.n_patients,
        measures={name: float(values[name][0]) for name in names},
        patient_intervals={name: bootstrap.percentiles(resampled[name]) for name in names},
    )
