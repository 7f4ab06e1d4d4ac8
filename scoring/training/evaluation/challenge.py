"""The promotion gate, which compares the predictions of challenger and champion for the same test joints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import joints as catalogue
from scoring.errors import InvalidRequest
from scoring.networks.readout import read_out
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.evaluate import difference_interval
from scoring.training.evaluation.metrics import confusion_matrix, confusion_measures
from scoring.training.evaluation.subgroups import exposure, side

METRICS = ("accuracy_and_kappa", "class_normalized_accuracy", "quadratic_weighted_kappa", "within_one_accuracy")
"""Metrics to compare two models by, from `metrics.confusion_measures`; larger is better. The first is the default."""

MIN_TEST_PATIENTS = 10
"""With fewer patients, a bootstrap over patients has too little to draw from for a meaningful interval."""

MIN_SUBGROUP_JOINTS = 30
"""Smaller subgroups are reported, but do not decide."""

_SEVERITIES = {"intact (grade 0)": (0, 0), "slight (grade 1)": (1, 1), "severe (grades 2 to 5)": (2, 5)}


@dataclass(frozen=True)
class Subgroup:
    """Both models on some of the joints: the mean difference in grades between prediction and reading."""

    name: str
    n_joints: int
    champion: float
    challenger: float


@dataclass(frozen=True)
class Verdict:
    """The verdict of the gate.

    Attributes:
        proposed: True if the challenger is proposed.
        reasons: The reasons; if it is not proposed, every obstacle.
        metric: One of `METRICS`.
        champion, challenger: Their values on all test joints; NaN if not defined.
        interval: 95 % interval of challenger minus champion from a bootstrap over patients; NaN if not defined.
        n_joints, n_patients: Numbers of test joints and test patients.
        subgroups: Subgroups by kind of joint, side, exposure and severity that have joints.
    """

    proposed: bool
    reasons: list[str]
    metric: str
    champion: float
    challenger: float
    interval: tuple[float, float]
    n_joints: int
    n_patients: int
    subgroups: list[Subgroup]


def judge(
    joints: JointSet,
    champion: Predictions,
    challenger: Predictions,
    *,
    metric: str,
    max_subgroup_loss: float,
    engines_agree: bool,
) -> Verdict:
    """Decide whether the challenger is better than the champion on the test joints, and worse in no subgroup.

    It is proposed if the test set has `MIN_TEST_PATIENTS` or more, the interval of the difference is above 0, its
    engines agree, and in no subgroup of `MIN_SUBGROUP_JOINTS` or more its mean grade difference from the readings
    exceeds the champion's by more than `max_subgroup_loss` grades. Neither model was trained on patients of the test.
    """
    grades = [read_out(predictions.cdf, predictions.rule).grade for predictions in (champion, challenger)]
    values = [float(confusion_measures(confusion_matrix(joints.grades, predicted))[metric]) for predicted in grades]
    difference = difference_interval(challenger, champion, joints, measures=[metric])[metric]
    n_patients = len(np.unique(joints.patient_id))
    groups = subgroups(joints, *grades)
    figures = (
        f"{metric.replace('_', ' ')} {values[1]:.3f} against {values[0]:.3f}, difference {difference.value:+.3f} "
        f"(95 % interval {difference.low:+.3f} to {difference.high:+.3f})"
    )
    obstacles = []
    if n_patients < MIN_TEST_PATIENTS:
        obstacles.append(f"the test set has {n_patients} patients; at least {MIN_TEST_PATIENTS} are needed")
    # An undefined interval is an obstacle, too.
    if not difference.low > 0:
        obstacles.append(f"the challenger is not shown to be better: {figures}; the interval must be above 0")
    obstacles += [
        f"{group.name}: mean error {group.challenger:.2f} grades, the champion's {group.champion:.2f} "
        f"({group.n_joints} joints; at most {max_subgroup_loss:g} grades more are tolerated)"
        for group in groups
        if group.n_joints >= MIN_SUBGROUP_JOINTS and group.challenger - group.champion > max_subgroup_loss
    ]
    if not engines_agree:
        obstacles.append("the challenger's predictions by TensorFlow and OpenVINO differ")
    better = f"the challenger is better: {figures}; in no subgroup worse by more than {max_subgroup_loss:g} grades"
    return Verdict(
        proposed=not obstacles,
        reasons=obstacles or [better],
        metric=metric,
        champion=values[0],
        challenger=values[1],
        interval=(difference.low, difference.high),
        n_joints=len(joints),
        n_patients=n_patients,
        subgroups=groups,
    )


def check_metric(name: str) -> None:
    """Raise InvalidRequest if a metric is not one of `METRICS`."""
    if name not in METRICS:
        raise InvalidRequest(f"There is no metric {name!r}. Use one of: {', '.join(METRICS)}.")


def subgroups(joints: JointSet, champion: NDArray[np.int64], challenger: NDArray[np.int64]) -> list[Subgroup]:
    """Compare the predicted grades `(n,)` of both models by kind of joint, side, exposure and severity."""
    read = joints.grades
    kinds = np.array([catalogue.joint_by_column(str(joint)).kind for joint in joints.joint], dtype=np.str_)
    chosen = {
        naming.format(group): of_joint == group
        for naming, of_joint in (("{}", kinds), ("{} side", side(joints)), ("{} images", exposure(joints)))
        for group in np.unique(of_joint)
    }
    chosen |= {name: (read >= low) & (read <= high) for name, (low, high) in _SEVERITIES.items()}
    return [
        Subgroup(
            name,
            int(in_group.sum()),
            float(np.abs(champion - read)[in_group].mean()),
            float(np.abs(challenger - read)[in_group].mean()),
        )
        for name, in_group in chosen.items()
        if in_group.any()
    ]
