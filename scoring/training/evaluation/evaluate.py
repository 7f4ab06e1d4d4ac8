"""Evaluation of a model on a set of joints: every measure with its interval, next to trivial predictions."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation.bootstrap import Against, Interval, Predictions, patient_sums, percentile_interval
from scoring.training.evaluation.metrics import wilson_interval
from scoring.training.evaluation.subgroups import Subgroup, evaluate_subgroups

_READING_GRID = 5
_QUANTILES = (5, 25, 50, 75, 95)
_MIN_JOINTS = 5


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a model's predictions for a set of joints.

    Attributes:
        against: The reference, `reading` or `truth` (known for phantoms only).
        n, n_patients, n_radiographs: Numbers of joints, patients and radiographs.
        measures: accuracy, class_normalized_accuracy, within_one_accuracy, border_aware_accuracy,
            quadratic_weighted_kappa, accuracy_and_kappa, gross_errors (a count), erosion_unweighted_recall,
            sensitivity_at_99_specificity (of grade 2 or more, by expected erosion), crps, mse, mae, r2, icc,
            pit_calibration_error, grade_calibration_error, coverage_90 and interval_width (of the 90 % interval, in
            percent of erosion). For the Rau scores of the radiographs, predicted minus reference: bias, mae and sdc
            (smallest detectable change), as `rau_...` for the score expected from the distributions, and as
            `rau_of_grades_...` for that of the grades.
        patient_intervals: Their 95 % intervals from a bootstrap over patients, whose joints are alike.
        accuracy_wilson: 95 % Wilson interval of the accuracy, as in publications; it assumes independent joints.
        recall: Share of the joints of each grade with the correct grade; NaN for a grade without joints.
        recall_wilson: Their 95 % Wilson intervals; `(0, 1)` for a grade without joints.
        confusion: 6 x 6 counts; the row is the truth.
        always_0: The measures of predicting "no erosion" for every joint.
        errorless_reader: The measures of an error-free reader, who reads the truth on the 5 % grid: the upper bound
            that reading errors leave. Known for phantoms only, else None.
        reader: Against the truth, the measures of the readings, that is, of the simulated reader. None against
            readings, with which the reader would be compared to itself.
        pit: Shares of the probability integral transform in ten equal parts of 0 to 1; a tenth each if calibrated.
        reliability: n, mean confidence and hits (share of correct grades) of each bin of the most probable grade's
            probability that has joints.
        spread: erosion, n, and the 5, 25, 50, 75 and 95 % quantiles of the predicted erosion, for each step of the
            readings' 5 % grid with at least five joints.
        subgroups: The main measures by joint, side, exposure, severity and year.
        engine: Name and precision of the engine that computed the predictions.
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON, rounded to four digits; NaN becomes None."""
        found: dict[str, Any] = json.loads(
            json.dumps(asdict(self)), parse_float=lambda text: round(float(text), 4), parse_constant=lambda _: None
        )
        return found


@dataclass(frozen=True)
class Difference:
    """A measure of one model minus that of another, and its 95 % interval."""

    value: float
    low: float
    high: float


def evaluate_predictions(predictions: Predictions, joints: JointSet, *, against: Against = "reading") -> Evaluation:
    """Compare predictions for the joints of a set with readings or truth; no patient should be in the training set."""
    sums = patient_sums(predictions, joints, against)
    measures = sums.estimates()
    confusion = sums.sums["confusion"].sum(axis=0).astype(np.int64)
    n_true = confusion.sum(axis=1)
    recall = [float(confusion[g, g] / n) if n else float("nan") for g, n in enumerate(n_true)]
    n = len(joints)

    def certain(percent: NDArray[Any]) -> dict[str, float]:
        return patient_sums(Predictions.certain(percent), joints, against).estimates()

    return Evaluation(
        against=against,
        n=n,
        n_patients=sums.n_patients,
        n_radiographs=len(np.unique(joints.sop_iuid)),
        measures=measures,
        patient_intervals=sums.intervals(),
        accuracy_wilson=wilson_interval(measures["accuracy"], n),
        recall=recall,
        recall_wilson=[wilson_interval(r, int(k)) if k else (0.0, 1.0) for r, k in zip(recall, n_true, strict=True)],
        confusion=confusion.tolist(),
        always_0=certain(np.zeros(n)),
        errorless_reader=certain(_on_grid(joints.truth)) if joints.truth_known else None,
        reader=certain(joints.reading) if against == "truth" else None,
        pit=np.diff((sums.sums["pit"].sum(axis=0) / n)[2::2], prepend=0).tolist(),
        reliability=[
            {"n": int(k), "confidence": float(confidence / k), "hits": float(hits / k)}
            for k, confidence, hits in sums.sums["confidence"].sum(axis=0)
            if k
        ],
        spread=_spread(joints.reading if against == "reading" else joints.truth, sums.score),
        subgroups=evaluate_subgroups(predictions, joints, against),
        engine=predictions.engine,
    )


def difference_interval(
    challenger: Predictions,
    champion: Predictions,
    joints: JointSet,
    *,
    measures: Sequence[str] = ("class_normalized_accuracy", "quadratic_weighted_kappa"),
    against: Against = "reading",
) -> dict[str, Difference]:
    """Return measures of the challenger minus those of the champion on the same joints, with 95 % intervals.

    Both are evaluated on the same resamples of patients. Joints that are hard for both cancel, so the interval is
    narrower than two single intervals suggest. Errors and the CRPS are better when they are smaller.
    """
    both = [patient_sums(predictions, joints, against) for predictions in (challenger, champion)]
    first, second = (sums.estimates() for sums in both)
    if unknown := sorted(set(measures) - set(first)):
        raise ValueError(f"Unknown measures: {', '.join(unknown)}. Use some of: {', '.join(first)}.")
    resampled = [sums.resamples() for sums in both]
    return {
        name: Difference(first[name] - second[name], *percentile_interval(resampled[0][name] - resampled[1][name]))
        for name in measures
    }


def _on_grid(percent: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.rint(percent / _READING_GRID) * _READING_GRID


def _spread(reference: NDArray[np.float32], predicted: NDArray[np.float64]) -> list[dict[str, float]]:
    step = _on_grid(reference)
    found = []
    for value, n in zip(*np.unique(step, return_counts=True), strict=True):
        if n >= _MIN_JOINTS:
            quantiles = np.percentile(predicted[step == value], _QUANTILES)
            named = {f"q{q:02d}": float(x) for q, x in zip(_QUANTILES, quantiles, strict=True)}
            found.append({"erosion": float(value), "n": int(n)} | named)
    return found
