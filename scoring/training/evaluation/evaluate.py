"""How well a model reads a set of joints: every measure with its interval, and the trivial answer beside it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import bootstrap, metrics
from scoring.training.evaluation.bootstrap import Against, Interval, PatientSums, Predictions
from scoring.training.evaluation.subgroups import Subgroup, evaluate_subgroups

_READING_GRID = 5
_SPREAD = (5, 25, 50, 75, 95)
_MIN_JOINTS = 5


@dataclass(frozen=True)
class Evaluation:
    """What a model's answers came to on a set of joints.

    Attributes:
        against: `reading` or `truth` (known of phantoms only).
        n: Joints.
        n_patients: Patients.
        n_radiographs: Radiographs.
        measures: accuracy, class_normalized_accuracy, within_one_accuracy, border_aware_accuracy,
            quadratic_weighted_kappa, accuracy_and_kappa, gross_errors (a count), erosion_unweighted_recall,
            sensitivity_at_99_specificity (of grade 2 or more, by expected erosion), crps, mse, mae, r2, icc,
            pit_calibration_error, grade_calibration_error, coverage_90 and interval_width (of the 90 % interval, in per
            cent of erosion); and of the Rau scores of the radiographs, predicted less read, bias, mae and sdc (smallest
            detectable change), as `rau_...` for the score expected from the distributions and `rau_of_grades_...` for
            that of the grades.
        patient_intervals: Their 95 % intervals from a bootstrap over patients, whose joints are alike.
        accuracy_wilson: 95 % Wilson interval of the accuracy, as publications give it; it takes joints as independent.
        recall: Share of the joints of each grade that got this grade; NaN for a grade without joints.
        recall_wilson: Their 95 % Wilson intervals; `(0, 1)` for a grade without joints.
        confusion: 6 x 6 counts; the row is the truth.
        always_0: The same measures for the answer "no erosion" to every joint.
        errorless_reader: The same measures for the truth on the readers' 5 % grid: what a reader's error leaves to
            reach. Known of phantoms only, else None.
        reader: Against the truth, the same measures for the readings: how well the simulated reader himself reads. None
            against readings: the reader has nothing to be compared with, and figures against truth are another scale.
        pit: Shares of the probability integral transform in ten equal parts of 0 to 1; a tenth each if calibrated.
        reliability: For each bin of the likeliest grade's probability that has joints: n, mean confidence, hits
            (share that was right).
        spread: For each step of the readings' 5 % grid that has at least five joints: erosion, n, and the 5, 25, 50, 75
            and 95 % quantiles of the predicted erosion.
        subgroups: The main measures by joint, side, exposure, severity and year.
        engine: Name and precision of what computed the answers.
    """

    against: str
    n: int
    n_patients: int
    n_radiographs: int
    measures: dict[str, float]
    patient_intervals: dict[str, Interval]
    accuracy_wilson: Interval
    recall: list[float]
    recall_wilson: list[Interval]
    confusion: list[list[int]]
    always_0: dict[str, float]
    errorless_reader: dict[str, float] | None
    reader: dict[str, float] | None
    pit: list[float]
    reliability: list[dict[str, float]]
    spread: list[dict[str, float]]
    subgroups: list[Subgroup]
    engine: str

    def to_dict(self, digits: int = 4) -> dict[str, Any]:
        """As plain numbers for JSON, rounded; NaN becomes None."""
        rounded: dict[str, Any] = _rounded(asdict(self), digits)
        return rounded


@dataclass(frozen=True)
class Difference:
    """A measure of one model less that of another, and its 95 % interval."""

    value: float
    low: float
    high: float


def evaluate_predictions(
    answers: Predictions, joints: JointSet, *, against: Against = "reading", engine: str = ""
) -> Evaluation:
    """Compare what a model says of every joint of a set with what is right.

    Args:
        answers: Of every joint.
        joints: The set; none of its patients should have been seen in training.
        against: What counts as right: the registry's readings, or the phantom's truth.
        engine: Named in the result.

    Raises:
        ValueError: There is no joint, a joint has no reading (or truth), or an answer is missing.
    """
    sums = bootstrap.patient_sums(answers, joints, against)
    resampled = sums.measures(bootstrap.draws(sums.n_patients))
    measures = _of_all(sums)
    confusion = sums.sums["confusion"].sum(axis=0).astype(np.int64)
    of_grade = confusion.sum(axis=1)
    recall = [float(confusion[g, g] / n) if n else float("nan") for g, n in enumerate(of_grade)]
    n = len(joints)
    right = joints.reading if against == "reading" else joints.truth
    truth_known = not np.isnan(joints.truth).any()
    return Evaluation(
        against=against,
        n=n,
        n_patients=sums.n_patients,
        n_radiographs=len(np.unique(joints.sop_iuid)),
        measures=measures,
        patient_intervals={name: bootstrap.percentiles(values) for name, values in resampled.items()},
        accuracy_wilson=metrics.wilson_interval(measures["accuracy"], n),
        recall=recall,
        recall_wilson=[
            metrics.wilson_interval(r, int(k)) if k else (0.0, 1.0) for r, k in zip(recall, of_grade, strict=True)
        ],
        confusion=confusion.tolist(),
        always_0=_of_sure(np.zeros(n), joints, against),
        errorless_reader=_of_sure(_on_grid(joints.truth), joints, against) if truth_known else None,
        reader=_of_sure(joints.reading, joints, against) if against == "truth" else None,
        pit=_pit_shares(sums),
        reliability=_reliability(sums),
        spread=_spread(right, sums.score),
        subgroups=evaluate_subgroups(answers, joints, against),
        engine=engine,
    )


def difference_interval(
    challenger: Predictions,
    champion: Predictions,
    joints: JointSet,
    *,
    measures: Sequence[str] = ("class_normalized_accuracy", "quadratic_weighted_kappa"),
    against: Against = "reading",
) -> dict[str, Difference]:
    """How much better or worse a model is than another on the same joints, with 95 % intervals.

    Both are resampled with the same patients, so what makes a joint hard for both cancels: the interval is narrower
    than two single intervals suggest. A measure such as an error or a CRPS is better when it is smaller.

    Args:
        challenger: What the first model says of every joint.
        champion: What the second one says.
        joints: The set.
        measures: Names of `Evaluation.measures`.
        against: What counts as right.

    Returns:
        Challenger less champion, by measure.

    Raises:
        ValueError: A measure is not known, or the set is not fit for an evaluation.
    """
    sums = [bootstrap.patient_sums(answers, joints, against) for answers in (challenger, champion)]
    first, second = (_of_all(one) for one in sums)
    if unknown := sorted(set(measures) - set(first)):
        raise ValueError(f"no measure {', '.join(unknown)}; the measures are {', '.join(first)}")
    weights = bootstrap.draws(sums[0].n_patients)
    resampled = [one.measures(weights) for one in sums]
    return {
        name: Difference(first[name] - second[name], *bootstrap.percentiles(resampled[0][name] - resampled[1][name]))
        for name in measures
    }


def _of_all(sums: PatientSums) -> dict[str, float]:
    return {name: float(value[0]) for name, value in sums.measures(bootstrap.all_once(sums.n_patients)).items()}


def _of_sure(percent: NDArray[Any], joints: JointSet, against: Against) -> dict[str, float]:
    return _of_all(bootstrap.patient_sums(Predictions.sure(percent), joints, against))


def _on_grid(percent: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.rint(percent / _READING_GRID) * _READING_GRID


def _pit_shares(sums: PatientSums) -> list[float]:
    reached = (sums.sums["pit"].sum(axis=0) / sums.sums["n"].sum())[::2]
    return [float(share) for share in np.diff(reached[1:], prepend=0)]


def _reliability(sums: PatientSums) -> list[dict[str, float]]:
    return [
        {"n": int(n), "confidence": float(confidence / n), "hits": float(hits / n)}
        for n, confidence, hits in sums.sums["confidence"].sum(axis=0)
        if n
    ]


def _spread(right: NDArray[np.float32], predicted: NDArray[np.float64]) -> list[dict[str, float]]:
    step = _on_grid(right)
    return [
        {"erosion": float(value), "n": int(n)}
        | {
            f"q{q:02d}": float(x)
            for q, x in zip(_SPREAD, np.percentile(predicted[step == value], _SPREAD), strict=True)
        }
        for value, n in zip(*np.unique(step, return_counts=True), strict=True)
        if n >= _MIN_JOINTS
    ]


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item, digits) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(float(value), digits)
    return value
