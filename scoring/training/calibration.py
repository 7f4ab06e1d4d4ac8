"""Make a trained network's answers fit: intervals that cover, and borders between grades that suit it.

Everything here is fitted on joints that the network has not learnt from and that no figure is reported on, such as the
validation patients, and measured on others.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.clinical import ratingen
from scoring.errors import InvalidRequest
from scoring.networks.readout import USUAL_RULE, ReadOutRule, make_monotone, read_out
from scoring.training import metrics

_SWEEPS = 20

Floats = npt.NDArray[np.float64]


def calibrated_rule(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike) -> ReadOutRule:
    """The rule that suits a network: borders between grades and level of the interval, fitted on validation joints.

    Args:
        cdf: Its distribution functions of these joints, raw or monotone, (n, 101).
        erosion_percent: Their readings, 0-100, (n,).

    Raises:
        InvalidRequest: There is no joint.
    """
    return ReadOutRule(
        borders=tune_borders(read_out(cdf).mean, ratingen.grade(np.asarray(erosion_percent))),
        interval_level=conformal_level(cdf, erosion_percent),
    )


def conformal_level(cdf: npt.NDArray[Any], erosion_percent: npt.ArrayLike, alpha: float = 0.10) -> float:
    """The level of the central interval that covers a new joint with probability 1 - alpha or more.

    Split-conformal prediction (Romano, Patterson, Candes, NeurIPS 2019, arXiv 1905.03222; Angelopoulos and Bates, arXiv
    2107.07511): the score of a joint is the level at which its central interval just reaches the reading,
    `max(1 - 2 F(y), 2 F(y - 1) - 1)`, and the level is the ceil((n + 1)(1 - alpha))-th smallest of n scores. The
    guarantee needs calibration joints and new joints to be exchangeable: another hospital's films are not. It holds
    over all joints, not within a grade; and as joints of one patient are alike, few patients leave it to chance.

    Args:
        cdf: Distribution functions of the calibration joints, raw or monotone, (n, 101).
        erosion_percent: Their readings, 0-100, (n,).
        alpha: Share of joints that may lie outside, between 0 and 1.

    Returns:
        The `interval_level` for a `ReadOutRule`, 0 to 1; 1, all that the network does not rule out, if there are too
        few joints to promise less. A reading lies inside its interval if its score is below the level, and outside if
        it is above.

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
    return max(0.0, float(score[rank - 1])) if rank <= len(score) else 1.0


def tune_borders(expected_erosion: npt.ArrayLike, grade: npt.ArrayLike) -> tuple[float, ...]:
    """Borders on the expected erosion under which the predicted grades agree best with the read ones.

    Best is the highest `accuracy_and_kappa` (`metrics.of_confusions`). One border after the other moves to its best
    place between its neighbours, halfway between two expected erosions, until none moves: a local optimum, never worse
    than the usual borders, where the search begins. Of equally good places the nearest is taken.

    Args:
        expected_erosion: Of validation joints, per cent, (n,).
        grade: Their read grades, (n,).

    Returns:
        Five borders, in order.

    Raises:
        InvalidRequest: There is no joint.
    """
    mean, truth = np.asarray(expected_erosion, dtype=np.float64), np.asarray(grade, dtype=np.int64)
    if not len(mean):
        raise InvalidRequest("there is no joint to tune the borders on")
    values, index = np.unique(mean, return_inverse=True)
    # A border at place i has the i smallest values below it; of these joints, so many have each true grade.
    counts = np.zeros((len(values), ratingen.N_GRADES))
    np.add.at(counts, (index, truth), 1)
    below = np.concatenate([np.zeros((1, ratingen.N_GRADES)), np.cumsum(counts, axis=0)])
    borders = list(USUAL_RULE.borders)
    at = [int(np.searchsorted(values, borders[0], "left")), *map(int, np.searchsorted(values, borders[1:], "right"))]
    best = float(_agreement(below[at], below[-1]))
    for _ in range(_SWEEPS):
        before = best
        for i, border in enumerate(borders):
            left, right = at[i - 1] if i else 0, at[i + 1] if i + 1 < len(at) else len(values)
            places = np.arange(left + 1, right)
            if not len(places):
                continue
            cuts = np.repeat(below[at][np.newaxis], len(places), axis=0)
            cuts[:, i] = below[places]
            score = _agreement(cuts, below[-1])
            if not score.max() > best:
                continue
            best, places = float(score.max()), places[score == score.max()]
            halfway = (values[places - 1] + values[places]) / 2
            nearest = int(np.argmin(np.abs(halfway - border)))
            at[i], borders[i] = int(places[nearest]), float(halfway[nearest])
        if best == before:
            break
    return tuple(borders)


def _agreement(below: Floats, of_grade: Floats) -> Floats:
    """`accuracy_and_kappa` of joints cut into grades: those below each border, (..., 5, 6), and all, (6,)."""
    ends = (*below.shape[:-2], 1, ratingen.N_GRADES)
    cumulated = np.concatenate([np.zeros(ends), below, np.broadcast_to(of_grade, ends)], axis=-2)
    return metrics.of_confusions(np.swapaxes(np.diff(cumulated, axis=-2), -1, -2))["accuracy_and_kappa"]
