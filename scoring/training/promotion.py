"""The gate: whether a challenger may take the champion's place. Pure: decides from answers to the same test joints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import joints as catalogue
from scoring.clinical import ratingen
from scoring.errors import InvalidRequest
from scoring.training import metrics

Confusion = NDArray[np.int64]


def accuracy_and_kappa(confusion: NDArray[Any]) -> float:
    """Mean of class-normalised accuracy and quadratic weighted kappa, what the best epoch is chosen by, too.

    The first alone rewards calling healthy joints eroded, the second alone rewards never calling a rare grade.
    """
    return (metrics.class_normalized_accuracy(confusion) + metrics.quadratic_weighted_kappa(confusion)) / 2


METRICS: Mapping[str, Callable[[NDArray[Any]], float]] = {
    "accuracy_and_kappa": accuracy_and_kappa,
    "class_normalized_accuracy": metrics.class_normalized_accuracy,
    "quadratic_weighted_kappa": metrics.quadratic_weighted_kappa,
    "within_one_accuracy": metrics.within_one_accuracy,
}
"""What champion and challenger may be compared by, from a confusion matrix; the larger, the better."""

DEFAULT_METRIC = "accuracy_and_kappa"

MIN_TEST_PATIENTS = 10
"""With fewer patients a bootstrap over patients has next to nothing to draw from, and its interval means nothing."""

MIN_SUBGROUP_JOINTS = 30
"""A smaller subgroup is reported, not judged."""

_ROUNDS = 2000
_INTERVAL = (2.5, 97.5)

_SEVERITIES = {"intact (grade 0)": (0, 0), "slight (grade 1)": (1, 1), "severe (grades 2 to 5)": (2, 5)}


@dataclass(frozen=True)
class Answers:
    """What a reader and two models said of the same n test joints.

    Attributes:
        read: Grades read, int64 `(n,)`.
        champion: Grades by the champion.
        challenger: Grades by the challenger.
        patient_id: `(n,)` strings.
        joint: `(n,)` strings, column names of the registry.
    """

    read: NDArray[np.int64]
    champion: NDArray[np.int64]
    challenger: NDArray[np.int64]
    patient_id: NDArray[np.str_]
    joint: NDArray[np.str_]


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
        promote: Whether the challenger is proposed.
        reasons: Why, in sentences; every obstacle if it is not.
        metric: A key of `METRICS`.
        champion: The champion's value on all test joints; NaN if it is not defined.
        challenger: The challenger's.
        interval: 95 % interval of challenger minus champion, from drawing patients; NaN if it is not defined.
        n_joints: Test joints.
        n_patients: Test patients.
        subgroups: By kind of joint and by severity, those that have joints.
    """

    promote: bool
    reasons: list[str]
    metric: str
    champion: float
    challenger: float
    interval: tuple[float, float]
    n_joints: int
    n_patients: int
    subgroups: list[Subgroup]


def judge(answers: Answers, *, metric: str, max_subgroup_loss: float, engines_agree: bool) -> Verdict:
    """Decide whether the challenger is better than the champion, and worse for nobody.

    It is proposed if all of this holds: the test has `MIN_TEST_PATIENTS` or more; the interval of the difference lies
    above 0; in no subgroup of `MIN_SUBGROUP_JOINTS` or more its answers are farther from the readings than the
    champion's by more than the margin; its engines agree.

    Args:
        answers: Of both models to the same joints, whose patients neither was trained on.
        metric: A key of `METRICS`.
        max_subgroup_loss: The margin, in grades.
        engines_agree: Whether the challenger's engines were measured to agree.

    Raises:
        InvalidRequest: The metric is unknown.
    """
    measure = metric_named(metric)
    of_champion = _by_patient(answers.read, answers.champion, answers.patient_id)
    of_challenger = _by_patient(answers.read, answers.challenger, answers.patient_id)
    champion, challenger = measure(of_champion.sum(axis=0)), measure(of_challenger.sum(axis=0))
    interval = difference_interval(of_champion, of_challenger, measure)
    n_patients = len(of_champion)
    groups = subgroups(answers)
    obstacles = []
    if n_patients < MIN_TEST_PATIENTS:
        obstacles.append(f"the test set has {n_patients} patients; fewer than {MIN_TEST_PATIENTS} prove nothing")
    # Written so that an interval that is not defined is an obstacle, too.
    if not interval[0] > 0:
        obstacles.append(
            f"it is not shown to be better: {_figures(metric, champion, challenger, interval)}; the interval must lie "
            "above 0"
        )
    obstacles += [
        f"{group.name}: its answers are {group.challenger:.2f} grades from the readings, the champion's "
        f"{group.champion:.2f} ({group.n_joints} joints; allowed are {max_subgroup_loss:g} more)"
        for group in groups
        if group.n_joints >= MIN_SUBGROUP_JOINTS and group.challenger - group.champion > max_subgroup_loss
    ]
    if not engines_agree:
        obstacles.append("its engines do not agree")
    better = f"it is better: {_figures(metric, champion, challenger, interval)}, and in no subgroup worse by more than "
    return Verdict(
        promote=not obstacles,
        reasons=obstacles or [f"{better}{max_subgroup_loss:g} grades"],
        metric=metric,
        champion=champion,
        challenger=challenger,
        interval=interval,
        n_joints=len(answers.read),
        n_patients=n_patients,
        subgroups=groups,
    )


def metric_named(name: str) -> Callable[[NDArray[Any]], float]:
    """A metric of `METRICS`.

    Raises:
        InvalidRequest: There is none of that name.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise InvalidRequest(f"no metric {name!r}; there are {', '.join(METRICS)}") from None


def subgroups(answers: Answers) -> list[Subgroup]:
    """Both models on each kind of joint and each severity that has joints."""
    kinds = np.array([catalogue.joint_by_column(str(joint)).kind for joint in answers.joint], dtype=np.str_)
    chosen = {str(kind): kinds == kind for kind in np.unique(kinds)}
    chosen |= {name: (answers.read >= low) & (answers.read <= high) for name, (low, high) in _SEVERITIES.items()}
    return [
        Subgroup(
            name,
            int(of_group.sum()),
            float(np.abs(answers.champion - answers.read)[of_group].mean()),
            float(np.abs(answers.challenger - answers.read)[of_group].mean()),
        )
        for name, of_group in chosen.items()
        if of_group.any()
    ]


def difference_interval(
    champion: Confusion, challenger: Confusion, measure: Callable[[NDArray[Any]], float]
) -> tuple[float, float]:
    """95 % interval of challenger minus champion, by drawing patients: both models answer for the same drawn patients.

    Args:
        champion: A confusion matrix for each patient, `(n_patients, 6, 6)`.
        challenger: The same patients in the same order.
        measure: From a confusion matrix; the larger, the better.

    Returns:
        Percentiles of the bootstrap; NaN if the difference is not defined in any round.
    """
    n = len(champion)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), _ROUNDS)
    differences = np.array(
        [measure(np.tensordot(times, challenger, 1)) - measure(np.tensordot(times, champion, 1)) for times in drawn]
    )
    # A draw without any variation has no kappa; it says nothing about the interval.
    known = differences[~np.isnan(differences)]
    if not known.size:
        return (float("nan"), float("nan"))
    low, high = np.percentile(known, _INTERVAL)
    return (float(low), float(high))


def _by_patient(read: NDArray[np.int64], answered: NDArray[np.int64], patient_id: NDArray[np.str_]) -> Confusion:
    patients, index = np.unique(patient_id, return_inverse=True)
    n_cells = ratingen.N_GRADES**2
    cell = index * n_cells + read * ratingen.N_GRADES + answered
    counts = np.bincount(cell, minlength=len(patients) * n_cells)
    return counts.reshape(len(patients), ratingen.N_GRADES, ratingen.N_GRADES)


def _figures(metric: str, champion: float, challenger: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return (
        f"{metric.replace('_', ' ')} {challenger:.3f} against {champion:.3f}, difference {challenger - champion:+.3f} "
        f"(95 % interval {low:+.3f} to {high:+.3f})"
    )
