"""Make a trained network's answers fit: intervals that cover, and grades that do not forget the rare ones.

Everything here is fitted on joints that the network has not learnt from and that no figure is reported on, such as the
validation patients, and measured on others.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.errors import InvalidRequest
from scoring.networks.readout import WEIGHTED_MEDIAN, ReadOutRule, make_monotone, read_out
from scoring.training.evaluation import metrics

# More than the rounding of a level of the read-out, less than what float32 tells apart near 1.
_HAIR = 1e-7
_POWERS = tuple(round(step / 20, 2) for step in range(21))


def calibrated_rule(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> ReadOutRule:
    """The rule that suits a network: weights of the grades and level of the interval, fitted on validation joints.

    Args:
        cdf: Its distribution functions of these joints, raw or monotone, (n, 101).
        erosion_percent: Their readings, 0-100, (n,).

    Raises:
        InvalidRequest: There is no joint.
    """
    return ReadOutRule(
        WEIGHTED_MEDIAN,
        weights=grade_weights(read_out(cdf).grade_probability, ratingen.grade(np.asarray(erosion_percent))),
        interval_level=conformal_level(cdf, erosion_percent),
    )


def conformal_level(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike, alpha: float = 0.10) -> float:
    """The level of the central interval that covers a new joint with probability 1 - alpha or more.

    Split-conformal prediction (Romano, Patterson, Candes, NeurIPS 2019, arXiv 1905.03222; Angelopoulos and Bates, arXiv
    2107.07511): the score of a joint is the level at which its central interval just reaches the reading,
    `max(1 - 2 F(y), 2 F(y - 1) - 1)`, and the level is the ceil((n + 1)(1 - alpha))-th smallest of n scores. The
    guarantee needs calibration joints and new joints to be exchangeable: another hospital's radiographs are not. It holds
    over all joints, not within a grade; and as joints of one patient are alike, few patients leave it to chance.

    Args:
        cdf: Distribution functions of the calibration joints, raw or monotone, (n, 101).
        erosion_percent: Their readings, 0-100, (n,).
        alpha: Share of joints that may lie outside, between 0 and 1.

    Returns:
        The `interval_level` for a `ReadOutRule`, 0 to 1; 1, all that the network does not rule out, if there are too
        few joints to promise less, or the network rules out what is read too often for any level to hold. A reading
        lies inside its interval if its score is below the level, and outside if it is above.

    Raises:
        InvalidRequest: alpha is out of range, or there is no joint.
        ValueError: Shapes do not fit, or a reading is missing or outside 0 to 100.
    """
    if not 0 < alpha < 1:
        raise InvalidRequest(f"alpha is {alpha}; it is a share and must lie between 0 and 1")
    below, upto = metrics.around(make_monotone(cdf), erosion_percent)
    if not len(upto):
        raise InvalidRequest("there is no joint to calibrate intervals on")
    score = np.sort(np.maximum(1 - 2 * upto, 2 * below - 1))
    rank = int(np.ceil((len(score) + 1) * (1 - alpha)))
    # Below 0 the ends of an interval would cross.
    # A hair above the score, or the joint that it is of would lie outside.
    return min(max(0.0, float(score[rank - 1])) + _HAIR, 1.0) if rank <= len(score) else 1.0


def grade_weights(probability: npt.NDArray[Any], grade: npt.ArrayLike) -> tuple[float, ...]:
    """Weights under which the weighted medians of the grade probabilities agree best with the read grades.

    A grade weighs its frequency to the power of -t: at t = 0 the median is that of the distribution, which calls rare
    grades seldom, at t = 1 that of a registry in which all grades are equally frequent. Of 21 powers the one with the
    highest `accuracy_and_kappa` (`metrics.of_confusions`) is taken. One number is fitted, not five borders or six
    weights: the rare grades of a validation set are few.

    Args:
        probability: Grade probabilities of validation joints, (n, 6).
        grade: Their read grades, (n,).

    Returns:
        Six weights, that of grade 0 is 1.

    Raises:
        InvalidRequest: There is no joint.
    """
    truth = np.asarray(grade, dtype=np.int64)
    if not len(truth):
        raise InvalidRequest("there is no joint to fit the weights of the grades on")
    # As if each grade had been met once more: one that is not among the joints still has a weight.
    frequency = np.bincount(truth, minlength=ratingen.N_GRADES) + 1.0

    def weights(power: float) -> tuple[float, ...]:
        return tuple(round(float(weight), 4) for weight in (frequency / frequency[0]) ** -power)

    def agreement(power: float) -> float:
        called = ReadOutRule(WEIGHTED_MEDIAN, weights=weights(power)).grade(np.empty(0), probability)
        confusion = metrics.confusion_matrix(truth, called)
        return float(np.nan_to_num(metrics.of_confusions(confusion)["accuracy_and_kappa"]))

    return weights(max(_POWERS, key=agreement))
