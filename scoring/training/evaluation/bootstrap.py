"""All measures of a set of joints as functions of patient weights, so that a resample costs one matrix product.

The joints of a patient resemble each other, so the bootstrap draws patients. Each measure follows from sums over joints
or radiographs. They are kept per patient, and a resample weights them by how often each patient was drawn. Only the
sensitivity at a specificity needs the joints in order; it weights them one by one.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.clinical.ranges import raise_where
from scoring.clinical.rau import RATINGEN_TOTAL
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule, make_monotone, read_out
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import metrics, sums
from scoring.training.evaluation.sums import Floats

ROUNDS = 1000
_INTERVAL = (2.5, 97.5)
# Limits the weights of single joints to some tens of MB.
_ROUNDS_AT_ONCE = 100

_GRADES = np.arange(ratingen.N_GRADES)
# From this grade on, a missed erosion is serious.
_SERIOUS = 2

Against = Literal["reading", "truth"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for the joints of a set.

    Attributes:
        cdf: Distribution functions, raw or monotone, `(n, 101)`.
        rule: How grades and 90 % intervals are read from them.
        engine: Name and precision of the engine that computed them.
    """

    cdf: NDArray[np.float32]
    rule: ReadOutRule = USUAL_RULE
    engine: str = ""

    @staticmethod
    def certain(percent: NDArray[Any]) -> "Predictions":
        """Return predictions without uncertainty, such as a reader's, from one erosion per joint, `(n,)`."""
        return Predictions((np.arange(N_POINTS) >= percent[:, np.newaxis]).astype(np.float32))

    def take(self, chosen: NDArray[np.int64]) -> "Predictions":
        """Return the predictions for the chosen joints."""
        return replace(self, cdf=self.cdf[chosen])


@dataclass(frozen=True)
class PatientSums:
    """Sums per patient from which all measures of a set of joints are computed.

    Attributes:
        sums: Sums over the joints or radiographs of each of p patients, `(p, ...)` each, by name.
        score: Expected erosion of each joint, `(n,)`.
        serious: True for joints of grade 2 or more, `(n,)`.
        patient: Index of each joint's patient, `(n,)`.
        reference_errs: True if the reference is a reading, which has an error of its own.
    """

    sums: dict[str, Floats]
    score: Floats
    serious: NDArray[np.bool_]
    patient: NDArray[np.int64]
    reference_errs: bool

    @property
    def n_patients(self) -> int:
        """Number of patients."""
        return len(self.sums["n"])

    def estimates(self) -> dict[str, float]:
        """Return every measure of the set; NaN where it is not defined."""
        return {name: float(value[0]) for name, value in self._measures(np.ones((1, self.n_patients))).items()}

    def resamples(self) -> dict[str, Floats]:
        """Return every measure of each resample, `(ROUNDS,)`; sets of equally many patients share their resamples."""
        uniform = np.full(self.n_patients, 1 / self.n_patients)
        return self._measures(np.random.default_rng(0).multinomial(self.n_patients, uniform, ROUNDS).astype(np.float64))

    def intervals(self) -> dict[str, Interval]:
        """Return the 95 % interval of every measure."""
        return {name: percentile_interval(values) for name, values in self.resamples().items()}

    def _measures(self, weights: Floats) -> dict[str, Floats]:
        """Return every measure, `(rounds,)` each, with each patient counted by its weight, `(rounds, p)`."""
        total = self._weighted_sums(weights)
        n = total["n"]
        measures = {
            **metrics.confusion_measures(total["confusion"]),
            "border_aware_accuracy": sums.mean_over_grades(total["border_hits"], total["confusion"].sum(axis=-1)),
            "sensitivity_at_99_specificity": self._sensitivity(weights),
            "crps": sums.divide(total["crps"], n),
            "mse": sums.divide(total["squares"], n),
            "mae": sums.divide(total["absolute"], n),
            "r2": sums.r2(total["moments"]),
            "icc": sums.icc(total["moments"]),
            "pit_calibration_error": sums.pit_calibration_error(sums.divide(total["pit"], n[:, np.newaxis])),
            "grade_calibration_error": sums.expected_calibration_error(total["confidence"]),
            "coverage_90": sums.divide(total["covered"], n),
            "interval_width": sums.divide(total["width"], n),
        }
        for name, errors in (("rau", "rau_error"), ("rau_of_grades", "rau_error_of_grades")):
            radiographs, error, absolute, squares, freedom = np.moveaxis(total[errors], -1, 0)
            measures[f"{name}_bias"] = sums.divide(error, radiographs)
            measures[f"{name}_mae"] = sums.divide(absolute, radiographs)
            change = sums.smallest_detectable_change(squares, freedom, reference_errs=self.reference_errs)
            measures[f"{name}_sdc"] = change
        return measures

    def _weighted_sums(self, weights: Floats) -> dict[str, Floats]:
        """Return all weighted sums from one large product, several times as fast as a dozen small ones."""
        flat = [values.reshape(self.n_patients, -1) for values in self.sums.values()]
        ends = np.cumsum([values.shape[1] for values in flat])
        weighted = np.split(weights @ np.concatenate(flat, axis=1), ends[:-1], axis=1)
        return {
            name: part.reshape(len(weights), *values.shape[1:])
            for (name, values), part in zip(self.sums.items(), weighted, strict=True)
        }

    def _sensitivity(self, weights: Floats) -> Floats:
        parts = np.split(weights, range(_ROUNDS_AT_ONCE, len(weights), _ROUNDS_AT_ONCE))
        return np.concatenate(
            [sums.sensitivity_at_specificity(self.score, self.serious, part[:, self.patient]) for part in parts]
        )


def patient_sums(predictions: Predictions, joints: JointSet, against: Against = "reading") -> PatientSums:
    """Sum up, per patient, everything that the measures of a model's predictions need.

    Raises:
        ValueError: There is no joint, a joint has no reading (or truth), or shapes do not fit.
    """
    if not len(joints):
        raise ValueError("There is no joint to evaluate.")
    reference = np.asarray(joints.reading if against == "reading" else joints.truth, dtype=np.float64)
    raise_where(against, np.isnan(reference), "known for every joint")
    if len(predictions.cdf) != len(joints):
        raise ValueError(f"There are {len(predictions.cdf)} predictions for {len(joints)} joints.")
    read = read_out(predictions.cdf, predictions.rule)
    cdf = make_monotone(predictions.cdf)
    grade = np.asarray(ratingen.grade(reference), dtype=np.int64)
    patients, patient = np.unique(joints.patient_id, return_inverse=True)
    n = len(joints)
    order = np.argsort(patient, kind="stable")
    starts = np.searchsorted(patient[order], np.arange(len(patients)))

    def add(values: NDArray[np.float64] | NDArray[np.bool_]) -> Floats:
        """Sum `(n, ...)` per patient, `(p, ...)`."""
        return np.add.reduceat(values[order].astype(np.float64), starts, axis=0)

    confusion = np.zeros((n, ratingen.N_GRADES, ratingen.N_GRADES), np.bool_)
    confusion[np.arange(n), grade, read.grade] = True
    border_hits = sums.border_aware_hits(reference, read.grade)
    expected_grade = read.grade_probability @ _GRADES
    added = {
        "n": add(np.ones(n)),
        "confusion": add(confusion),
        "border_hits": add(border_hits[:, np.newaxis] & (grade[:, np.newaxis] == _GRADES)),
        "crps": add(sums.squared_cdf_distance(cdf, reference)),
        "squares": add((read.mean - reference) ** 2),
        "absolute": add(np.abs(read.mean - reference)),
        "moments": add(sums.moments(reference, read.mean)),
        "pit": add(sums.pit(cdf, reference)),
        "confidence": add(sums.confidence_bins(read.grade_probability, grade)),
        "covered": add((read.q05 <= reference) & (reference <= read.q95)),
        "width": add((read.q95 - read.q05).astype(np.float64)),
        "rau_error": _rau_errors(expected_grade - grade, joints.sop_iuid, patient),
        "rau_error_of_grades": _rau_errors(read.grade - grade, joints.sop_iuid, patient),
    }
    return PatientSums(added, read.mean, grade >= _SERIOUS, patient, reference_errs=against == "reading")


def percentile_interval(values: Floats) -> Interval:
    """Return the central 95 % of resampled values; NaN if no value is defined."""
    # Kappa is not defined for a resample without any variation, which tells nothing about the interval.
    defined = values[~np.isnan(values)]
    if not defined.size:
        return (float("nan"), float("nan"))
    low, high = np.percentile(defined, _INTERVAL)
    return (float(low), float(high))


def _rau_errors(
    grade_error: NDArray[np.float64] | NDArray[np.int64], sop_iuid: NDArray[np.str_], patient: NDArray[np.int64]
) -> Floats:
    """Return sums per patient over the Rau errors of the radiographs, `(p, 5)`.

    These are the number of radiographs, the errors, the absolute errors, the squared distances to the patient's mean
    error, and the degrees of freedom. A Rau score is extrapolated from the joints that were read on the radiograph.
    """
    _, first, radiograph, n_joints = np.unique(sop_iuid, return_index=True, return_inverse=True, return_counts=True)
    error = np.bincount(radiograph, weights=grade_error) * RATINGEN_TOTAL / n_joints
    patient_of = patient[first]

    def by_patient(values: Floats) -> Floats:
        return np.bincount(patient_of, weights=values).astype(np.float64)

    radiographs = by_patient(np.ones_like(error))
    total = by_patient(error)
    squares = by_patient((error - (total / radiographs)[patient_of]) ** 2)
    return np.stack([radiographs, total, by_patient(np.abs(error)), squares, radiographs - 1], axis=-1)
