"""Every measure of a set of joints as a function of weights on its patients, so that resampling costs a matrix product.

A patient's joints resemble each other, so the patient is what a bootstrap draws. Each measure follows from sums over
joints or radiographs; these are kept by patient, and a resample weighs them by how often each patient was drawn. The one
measure that needs the joints in order, a sensitivity at a specificity, weighs them one by one.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.clinical.ranges import refuse_where
from scoring.clinical.rau import RATINGEN_TOTAL
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule, make_monotone, read_out
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import metrics

ROUNDS = 1000
_INTERVAL = (2.5, 97.5)
# Bounds the weights of single joints to some tens of MB.
_ROUNDS_AT_ONCE = 100

_GRADES = np.arange(ratingen.N_GRADES)
_SERIOUS = 2
"""The grade from which on a missed erosion is serious."""

Against = Literal["reading", "truth"]
Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Predictions:
    """What a model says of the joints of a set.

    Attributes:
        cdf: Its distribution functions, raw or monotone, `(n, 101)`.
        rule: How its grades and 90 % intervals are read from them.
    """

    cdf: NDArray[np.float32]
    rule: ReadOutRule = USUAL_RULE

    @staticmethod
    def sure(percent: NDArray[Any]) -> "Predictions":
        """The answers of somebody without doubt, such as a reader: all probability on one erosion, `(n,)`."""
        return Predictions((np.arange(N_POINTS) >= percent[:, np.newaxis]).astype(np.float32))

    def take(self, chosen: NDArray[np.int64]) -> "Predictions":
        """The answers for the chosen joints."""
        return Predictions(self.cdf[chosen], self.rule)


@dataclass(frozen=True)
class PatientSums:
    """What the measures of a set of joints are computed from.

    Attributes:
        sums: Sums over the joints, or radiographs, of each of p patients, `(p, ...)` each, by name.
        score: Expected erosion of each joint, `(n,)`.
        serious: Whether each joint has grade 2 or more, `(n,)`.
        patient: Index of each joint's patient, `(n,)`.
        both_err: Whether the figures compare with readings, which err as well.
    """

    sums: dict[str, Floats]
    score: Floats
    serious: NDArray[np.bool_]
    patient: NDArray[np.int64]
    both_err: bool

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return len(self.sums["n"])

    def measures(self, weights: Floats) -> dict[str, Floats]:
        """Every measure, with each patient counted as often as its weight says.

        Args:
            weights: `(rounds, p)`.

        Returns:
            `(rounds,)` by the name of the measure; NaN where it is not defined.
        """
        total = self._weigh(weights)
        n = total["n"]
        mean = {name: metrics.divide(total[name], n) for name in ("crps", "squares", "absolute", "covered", "width")}
        found = {
            **metrics.of_confusions(total["confusion"]),
            "border_aware_accuracy": metrics.mean_share(total["border_hits"], total["confusion"].sum(axis=-1)),
            "sensitivity_at_99_specificity": self._sensitivity(weights),
            "crps": mean["crps"],
            "mse": mean["squares"],
            "mae": mean["absolute"],
            "r2": metrics.r2(total["moments"]),
            "icc": metrics.icc(total["moments"]),
            "pit_calibration_error": metrics.pit_calibration_error(metrics.divide(total["pit"], n[:, np.newaxis])),
            "grade_calibration_error": metrics.expected_calibration_error(total["confidence"]),
            "coverage_90": mean["covered"],
            "interval_width": mean["width"],
        }
        return found | self._rau(total, "rau", "rau_error") | self._rau(total, "rau_of_grades", "rau_error_of_grades")

    def _weigh(self, weights: Floats) -> dict[str, Floats]:
        """All sums at once: one large product is several times as quick as a dozen small ones."""
        flat = [values.reshape(self.n_patients, -1) for values in self.sums.values()]
        ends = np.cumsum([values.shape[1] for values in flat])
        weighed = np.split(weights @ np.concatenate(flat, axis=1), ends[:-1], axis=1)
        return {
            name: part.reshape(len(weights), *values.shape[1:])
            for (name, values), part in zip(self.sums.items(), weighed, strict=True)
        }

    def _rau(self, total: dict[str, Floats], name: str, errors: str) -> dict[str, Floats]:
        radiographs, error, absolute, squares, freedom = np.moveaxis(total[errors], -1, 0)
        change = metrics.smallest_detectable_change(squares, freedom, both_err=self.both_err)
        return {
            f"{name}_bias": metrics.divide(error, radiographs),
            f"{name}_mae": metrics.divide(absolute, radiographs),
            f"{name}_sdc": change,
        }

    def _sensitivity(self, weights: Floats) -> Floats:
        parts = [
            metrics.sensitivity_at_specificity(
                self.score, self.serious, weights[start : start + _ROUNDS_AT_ONCE][:, self.patient]
            )
            for start in range(0, len(weights), _ROUNDS_AT_ONCE)
        ]
        return np.concatenate(parts)


def patient_sums(answers: Predictions, joints: JointSet, against: Against = "reading") -> PatientSums:
    """Add up, by patient, all that the measures of a model's answers need.

    Raises:
        ValueError: There is no joint, a joint has no reading (or truth), or shapes do not fit.
    """
    if not len(joints):
        raise ValueError("there is no joint to evaluate on")
    right = np.asarray(joints.reading if against == "reading" else joints.truth, dtype=np.float64)
    refuse_where(against, np.isnan(right), "known of every joint")
    if len(answers.cdf) != len(joints):
        raise ValueError(f"{len(joints)} joints need as many answers, but there are {len(answers.cdf)}")
    read = read_out(answers.cdf, answers.rule)
    cdf = make_monotone(answers.cdf)
    grade = np.asarray(ratingen.grade(right), dtype=np.int64)
    patients, patient = np.unique(joints.patient_id, return_inverse=True)
    add = _Adder(patient, len(patients))
    expected_grade = read.grade_probability @ _GRADES
    sums = {
        "n": add(np.ones(len(joints))),
        "confusion": add.confusions(grade, read.grade),
        "border_hits": add(
            metrics.border_aware_hits(right, read.grade)[:, np.newaxis] & (grade[:, np.newaxis] == _GRADES)
        ),
        "crps": add(metrics.squared_distance(cdf, right)),
        "squares": add((read.mean - right) ** 2),
        "absolute": add(np.abs(read.mean - right)),
        "moments": add(metrics.moments(right, read.mean)),
        "pit": add(metrics.pit(cdf, right)),
        "confidence": add(metrics.confidence_gaps(read.grade_probability, grade)),
        "covered": add((read.q05 <= right) & (right <= read.q95)),
        "width": add((read.q95 - read.q05).astype(np.float64)),
        "rau_error": _rau_errors(expected_grade - grade, joints.sop_iuid, patient, len(patients)),
        "rau_error_of_grades": _rau_errors(read.grade - grade, joints.sop_iuid, patient, len(patients)),
    }
    return PatientSums(sums, read.mean, grade >= _SERIOUS, patient, both_err=against == "reading")


def draws(n_patients: int, rounds: int = ROUNDS) -> Floats:
    """How often each patient is drawn in each round, `(rounds, n_patients)`; the same numbers every time."""
    even = np.full(n_patients, 1 / n_patients)
    return np.random.default_rng(0).multinomial(n_patients, even, rounds).astype(np.float64)


def all_once(n_patients: int) -> Floats:
    """The weights under which a measure is that of the set itself, `(1, n_patients)`."""
    return np.ones((1, n_patients))


def percentiles(values: Floats) -> Interval:
    """The middle 95 % of resampled values."""
    # A resample without any variation has no kappa; it says nothing about the interval.
    known = values[~np.isnan(values)]
    if not known.size:
        return (float("nan"), float("nan"))
    low, high = np.percentile(known, _INTERVAL)
    return (float(low), float(high))


class _Adder:
    """Sums over the joints of each patient."""

    def __init__(self, patient: NDArray[np.int64], n_patients: int) -> None:
        self.n_patients = n_patients
        self.patient = patient
        self.order = np.argsort(patient, kind="stable")
        self.starts = np.searchsorted(patient[self.order], np.arange(n_patients))

    def __call__(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> Floats:
        """Sums of `(n, ...)` by patient, `(p, ...)`."""
        return np.add.reduceat(values[self.order].astype(np.float64), self.starts, axis=0)

    def confusions(self, truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> Floats:
        """Confusion matrices by patient, `(p, 6, 6)`."""
        n = ratingen.N_GRADES
        cell = (self.patient * n + truth) * n + predicted
        counts = np.bincount(cell, minlength=self.n_patients * n * n)
        return counts.astype(np.float64).reshape(self.n_patients, n, n)


def _rau_errors(
    grade_error: NDArray[np.float64] | NDArray[np.int64],
    sop_iuid: NDArray[np.str_],
    patient: NDArray[np.int64],
    n_patients: int,
) -> Floats:
    """Sums by patient over the Rau errors of the radiographs, `(p, 5)`.

    They are the number of radiographs, the errors, the absolute errors, the squared distances to the patient's mean error,
    and the degrees of freedom. The Rau score of a radiograph is extrapolated from the joints that were read on it.
    """
    _, first, radiograph, n_joints = np.unique(sop_iuid, return_index=True, return_inverse=True, return_counts=True)
    error = np.bincount(radiograph, weights=grade_error) * RATINGEN_TOTAL / n_joints
    of_patient = patient[first]

    def by_patient(values: Floats) -> Floats:
        return np.bincount(of_patient, weights=values, minlength=n_patients).astype(np.float64)

    radiographs = by_patient(np.ones_like(error))
    total = by_patient(error)
    squares = by_patient((error - (total / radiographs)[of_patient]) ** 2)
    return np.stack([radiographs, total, by_patient(np.abs(error)), squares, radiographs - 1], axis=-1)
