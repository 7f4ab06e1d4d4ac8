"""The gate: whether a challenger may take the champion's place. Pure: decides from answers to the same test joints."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import joints as catalogue
from scoring.errors import InvalidRequest
from scoring.networks.readout import read_out
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.evaluate import Difference, difference_interval
from scoring.training.evaluation.subgroups import exposure, side

METRICS = ("accuracy_and_kappa", "class_normalized_accuracy", "quadratic_weighted_kappa", "within_one_accuracy")
"""What two models may be compared by, of `metrics.of_confusions`; the larger, the better. The usual one is first."""

MIN_TEST_PATIENTS = 10
"""With fewer patients a bootstrap over patients has next to nothing to draw from, and its interval means nothing."""

MIN_SUBGROUP_JOINTS = 30
"""A smaller subgroup is reported, not judged."""

_SEVERITIES = {"intact (grade 0)": (0, 0), "slight (grade 1)": (1, 1), "severe (grades 2 to 5)": (2, 5)}


@dataclass(frozen=True)
class Subgroup:
    """How both models did on some of the joints: the mean distance in grades between answer and reading."""

    name: str
    n_joints: int
    champion: float
    challenger: float


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        proposed: True if the challenger is proposed.
        reasons: Why, in sentences; every obstacle if it is not.
        metric: One of `METRICS`.
        champion: The champion's value on all test joints; NaN if it is not defined.
        challenger: The challenger's.
        interval: 95 % interval of challenger minus champion, from drawing patients; NaN if it is not defined.
        n_joints: Test joints.
        n_patients: Test patients.
        subgroups: By kind of joint, side, exposure and severity, those that have joints.
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
    """Decide whether the challenger is better than the champion, and worse for nobody.

    It is proposed if all of this holds: the test has `MIN_TEST_PATIENTS` or more; the interval of the difference lies
    above 0; in no subgroup of `MIN_SUBGROUP_JOINTS` or more its answers are farther from the readings than the
    champion's by more than the margin; its engines agree.

    Args:
        joints: The test joints, whose patients neither model was trained on.
        champion: What it says of these joints.
        challenger: What it says of them.
        metric: One of `METRICS`.
        max_subgroup_loss: The margin, in grades.
        engines_agree: Whether the challenger's engines were measured to agree.

    Raises:
        InvalidRequest: The metric is unknown.
    """
    check_metric(metric)
    held, proposed = (read_out(answers.cdf, answers.rule).grade for answers in (champion, challenger))
    value, challenged = (_value(metric, joints, grades) for grades in (held, proposed))
    difference = difference_interval(challenger, champion, joints, measures=[metric])[metric]
    figures = _figures(metric, value, challenged, difference)
    n_patients = len(np.unique(joints.patient_id))
    groups = subgroups(joints, held, proposed)
    obstacles = []
    if n_patients < MIN_TEST_PATIENTS:
        obstacles.append(f"the test set has {n_patients} patients; fewer than {MIN_TEST_PATIENTS} prove nothing")
    # Written so that an interval that is not defined is an obstacle, too.
    if not difference.low > 0:
        obstacles.append(f"it is not shown to be better: {figures}; the interval must lie above 0")
    obstacles += [
        f"{group.name}: its answers are {group.challenger:.2f} grades from the readings, the champion's "
        f"{group.champion:.2f} ({group.n_joints} joints; allowed are {max_subgroup_loss:g} more)"
        for group in groups
        if group.n_joints >= MIN_SUBGROUP_JOINTS and group.challenger - group.champion > max_subgroup_loss
    ]
    if not engines_agree:
        obstacles.append("its engines do not agree")
    better = f"it is better: {figures}, and in no subgroup worse by more than {max_subgroup_loss:g} grades"
    return Verdict(
        proposed=not obstacles,
        reasons=obstacles or [better],
        metric=metric,
        champion=value,
        challenger=challenged,
        interval=(difference.low, difference.high),
        n_joints=len(joints),
        n_patients=n_patients,
        subgroups=groups,
    )


def check_metric(name: str) -> None:
    """Refuse a metric that is none of `METRICS`.

    Raises:
        InvalidRequest: There is none of that name.
    """
    if name not in METRICS:
        raise InvalidRequest(f"no metric {name!r}; there are {', '.join(METRICS)}")


def subgroups(joints: JointSet, champion: NDArray[np.int64], challenger: NDArray[np.int64]) -> list[Subgroup]:
    """Both models on each kind of joint, side, exposure and severity that has joints, from their grades `(n,)`."""
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
            int(of_group.sum()),
            float(np.abs(champion - read)[of_group].mean()),
            float(np.abs(challenger - read)[of_group].mean()),
        )
        for name, of_group in chosen.items()
        if of_group.any()
    ]


def _value(metric: str, joints: JointSet, grades: NDArray[np.int64]) -> float:
    return float(metrics.of_confusions(metrics.confusion_matrix(joints.grades, grades))[metric])


def _figures(metric: str, champion: float, challenger: float, difference: Difference) -> str:
    return (
        f"{metric.replace('_', ' ')} {challenger:.3f} against {champion:.3f}, difference {difference.value:+.3f} "
        f"(95 % interval {difference.low:+.3f} to {difference.high:+.3f})"
    )
