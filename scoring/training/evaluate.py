"""How well a model reads a set of joints: every measure with its interval, and the trivial answer beside it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.networks.readout import N_POINTS, read_out
from scoring.training import metrics
from scoring.training.dataset import JointSet

_BOOTSTRAP_ROUNDS = 1000
_INTERVAL = (2.5, 97.5)
_READING_GRID = 5

Interval = tuple[float, float]


@dataclass(frozen=True)
class Evaluation:
    """What a model's answers came to on a set of joints.

    Attributes:
        against: `reading` or `truth` (known of phantoms only).
        n: Joints.
        n_patients: Patients.
        measures: accuracy, class_normalized_accuracy, within_one_accuracy, quadratic_weighted_kappa, gross_errors (a
            count), crps, mse, mae.
        patient_intervals: 95 % intervals of the first four from a bootstrap over patients, whose joints are alike.
        accuracy_wilson: 95 % Wilson interval of the accuracy, as publications give it; it takes joints as independent.
        recall: Share of the joints of each grade that got this grade; NaN for a grade without joints.
        recall_wilson: Their 95 % Wilson intervals; `(0, 1)` for a grade without joints.
        confusion: 6 x 6 counts; the row is the truth.
        always_0: The same measures for the answer "no erosion" to every joint.
        errorless_reader: The same measures for the truth on the readers' 5 % grid: what a reader's error leaves to
            reach. Known of phantoms only, else None.
        engine: Name and precision of what computed the answers.
    """

    against: str
    n: int
    n_patients: int
    measures: dict[str, float]
    patient_intervals: dict[str, Interval]
    accuracy_wilson: Interval
    recall: list[float]
    recall_wilson: list[Interval]
    confusion: list[list[int]]
    always_0: dict[str, float]
    errorless_reader: dict[str, float] | None
    engine: str

    def to_dict(self, digits: int = 4) -> dict[str, Any]:
        """As plain numbers for JSON, rounded; NaN becomes None."""
        rounded: dict[str, Any] = _rounded(asdict(self), digits)
        return rounded


def evaluate_model(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    joints: JointSet,
    *,
    against: Literal["reading", "truth"] = "reading",
    engine: str = "",
) -> Evaluation:
    """Let a model answer for every joint of a set and compare.

    Args:
        predict: uint8 `(n, side, side)` to raw distribution functions `(n, 101)`.
        joints: The set; none of its patients should have been seen in training.
        against: What counts as right: the registry's readings, or the phantom's truth.
        engine: Named in the result.
    """
    return evaluate_predictions(predict(joints.images), joints, against=against, engine=engine)


def evaluate_predictions(
    cdf: NDArray[np.float32], joints: JointSet, *, against: Literal["reading", "truth"] = "reading", engine: str = ""
) -> Evaluation:
    """Compare answers that were computed before; see `evaluate_model`.

    Raises:
        ValueError: There is no joint, or a joint has no reading (or truth).
    """
    if not len(joints):
        raise ValueError("there is no joint to evaluate on")
    right = joints.reading if against == "reading" else joints.truth
    grade, predicted = np.asarray(ratingen.grade(right), dtype=np.int64), read_out(cdf).grade
    confusion = metrics.confusion_matrix(grade, predicted)
    of_grade = confusion.sum(axis=1)
    recall = [float(confusion[g, g] / n) if n else float("nan") for g, n in enumerate(of_grade)]
    measures = _measures(cdf, right)
    n = len(joints)
    return Evaluation(
        against=against,
        n=n,
        n_patients=len(np.unique(joints.patient_id)),
        measures=measures,
        patient_intervals=_bootstrap(grade, predicted, joints.patient_id),
        accuracy_wilson=metrics.wilson_interval(measures["accuracy"], n),
        recall=recall,
        recall_wilson=[
            metrics.wilson_interval(r, int(k)) if k else (0.0, 1.0) for r, k in zip(recall, of_grade, strict=True)
        ],
        confusion=confusion.tolist(),
        always_0=_measures(_sure(np.zeros(n)), right),
        errorless_reader=None if np.isnan(joints.truth).any() else _measures(_sure(_on_grid(joints.truth)), right),
        engine=engine,
    )


def _measures(cdf: NDArray[np.float32], right: NDArray[np.float32]) -> dict[str, float]:
    return {name: value for name, value in metrics.evaluate(cdf, right).items() if name != "n"}


def _on_grid(percent: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.rint(percent / _READING_GRID) * _READING_GRID


def _sure(percent: NDArray[Any]) -> NDArray[np.float32]:
    """The distributions of an answer without doubt."""
    return (np.arange(N_POINTS) >= percent[:, np.newaxis]).astype(np.float32)


def _bootstrap(
    grade: NDArray[np.int64], predicted: NDArray[np.int64], patient_id: NDArray[np.str_]
) -> dict[str, Interval]:
    """Percentile intervals from resampling patients, not joints: a patient's joints resemble each other."""
    patients, index = np.unique(patient_id, return_inverse=True)
    n_cells = ratingen.N_GRADES**2
    cell = grade * ratingen.N_GRADES + predicted
    by_patient = np.bincount(index * n_cells + cell, minlength=len(patients) * n_cells).reshape(len(patients), n_cells)
    rng = np.random.default_rng(0)
    even = np.full(len(patients), 1 / len(patients))
    drawn = rng.multinomial(len(patients), even, _BOOTSTRAP_ROUNDS) @ by_patient
    confusions = drawn.reshape(_BOOTSTRAP_ROUNDS, ratingen.N_GRADES, ratingen.N_GRADES)
    measures = {
        "accuracy": metrics.accuracy,
        "class_normalized_accuracy": metrics.class_normalized_accuracy,
        "within_one_accuracy": metrics.within_one_accuracy,
        "quadratic_weighted_kappa": metrics.quadratic_weighted_kappa,
    }
    return {name: _percentiles([measure(c) for c in confusions]) for name, measure in measures.items()}


def _percentiles(values: list[float]) -> Interval:
    # A resample without any variation has no kappa; it says nothing about the interval.
    known = np.array(values)[~np.isnan(values)]
    if not known.size:
        return (float("nan"), float("nan"))
    low, high = np.percentile(known, _INTERVAL)
    return (float(low), float(high))


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item, digits) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(value, digits)
    return value
