"""Calibration of a trained network: intervals with the stated coverage, and grades that do not neglect the rare ones.

Everything here is fitted to joints that the network was not trained on and that no figure is reported for, such as the
validation set, and measured on others.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.errors import InvalidRequest
from scoring.networks.readout import WEIGHTED_MEDIAN, ReadOutRule, make_monotone, read_out
from scoring.training.evaluation.metrics import confusion_matrix, confusion_measures
from scoring.training.evaluation.sums import cdf_around

# More than the rounding of a level in the read-out, less than the resolution of float32 near 1.
_MARGIN = 1e-7
_POWERS = tuple(round(step / 20, 2) for step in range(21))


def calibrated_rule(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> ReadOutRule:
    """Return a read-out rule with `grade_weights` and `conformal_level`, fitted to the same joints."""
    return ReadOutRule(
        WEIGHTED_MEDIAN,
        weights=grade_weights(read_out(cdf).grade_probability, ratingen.grade(np.asarray(erosion_percent))),
        interval_level=conformal_level(cdf, erosion_percent),
    )


def conformal_level(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike, alpha: float = 0.10) -> float:
    """Return the level of the central interval that covers a new joint with probability 1 - alpha or more.

    Split-conformal prediction (Romano, Patterson, Candes, NeurIPS 2019, arXiv 1905.03222; Angelopoulos and Bates, arXiv
    2107.07511): the score of a joint is the level at which its central interval just reaches the reading,
    `max(1 - 2 F(y), 2 F(y - 1) - 1)`, and the level is the ceil((n + 1)(1 - alpha))-th smallest of n scores. The
    guarantee requires exchangeable calibration joints and new joints, which another hospital's radiographs are not. It
    holds over all joints, not within a grade, and as joints of a patient are alike, few patients leave it to chance.

    The arguments are the distribution functions of the calibration joints, raw or monotone, (n, 101), their readings in
    percent, (n,), and the tolerated share of joints outside, alpha, between 0 and 1.

    Returns:
        The `interval_level` for a `ReadOutRule`, 0 to 1. It is 1, everything that the network does not exclude, if
        there are too few joints, or if the network excludes the reading too often for any level to hold. A reading is
        inside its interval if its score is below the level, and outside if it is above.

    Raises:
        InvalidRequest: alpha is out of range, or there is no joint.
        ValueError: Shapes do not fit, or a reading is missing or outside 0 to 100.
    """
    if not 0 < alpha < 1:
        raise InvalidRequest(f"alpha is a share and must be between 0 and 1, not {alpha}.")
    below, upto = cdf_around(make_monotone(cdf), erosion_percent)
    if not len(upto):
        raise InvalidRequest("There is no joint to calibrate intervals on.")
    score = np.sort(np.maximum(1 - 2 * upto, 2 * below - 1))
    rank = int(np.ceil((len(score) + 1) * (1 - alpha)))
    # Below 0, the ends of an interval would cross. The margin puts the joint with this very score inside.
    return min(max(0.0, float(score[rank - 1])) + _MARGIN, 1.0) if rank <= len(score) else 1.0


def grade_weights(probability: npt.NDArray[Any], grade: npt.ArrayLike) -> tuple[float, ...]:
    """Return the weights of the grades, 1 for grade 0, under which weighted medians agree best with the read grades.

    A grade is weighted by its frequency to the power of -t: t = 0 gives the median of the distribution, which rarely
    predicts rare grades, t = 1 that of a registry with equally frequent grades. Of 21 powers, the one with the highest
    `accuracy_and_kappa` (`metrics.confusion_measures`) is chosen. A validation set has few joints of the rare grades,
    so one number is fitted instead of five borders or six weights. The arguments are the grade probabilities of
    validation joints, (n, 6), and their read grades, (n,); without joints, InvalidRequest is raised.
    """
    truth = np.asarray(grade, dtype=np.int64)
    if not len(truth):
        raise InvalidRequest("There is no joint to fit the weights of the grades on.")
    # One more of each grade: a grade without joints still has a weight.
    frequency = np.bincount(truth, minlength=ratingen.N_GRADES) + 1.0

    def weights(power: float) -> tuple[float, ...]:
        return tuple(round(float(weight), 4) for weight in (frequency / frequency[0]) ** -power)

    def agreement(power: float) -> float:
        predicted = ReadOutRule(WEIGHTED_MEDIAN, weights=weights(power)).grade(np.empty(0), probability)
        return float(np.nan_to_num(confusion_measures(confusion_matrix(truth, predicted))["accuracy_and_kappa"]))

    return weights(max(_POWERS, key=agreement))
