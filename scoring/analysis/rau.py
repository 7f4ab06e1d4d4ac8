"""Predicted Rau scores of radiographs and visits."""

import numpy as np
import pandas as pd

from scoring.analysis.frames import Codes, Floats, check_frame
from scoring.clinical.rau import USUAL_SET, expectation, quantile, rau_distribution, rau_score

SCORE_COLUMNS = ("rau_expected", "rau_median", "rau_q05", "rau_q95", "rau_from_grades")
COLUMNS = ("scope", "patient_id", "visit_date", "sop_iuid", *SCORE_COLUMNS, "n_scored", "extrapolated")

_INPUT = ("patient_id", "visit_date", "sop_iuid", "joint", "predicted_grade", "grade_probability")

# Groups of joints convolved at once; limits memory to some tens of MB.
_BATCH = 10_000


def rau_predictions(joint_predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute the Rau score of each radiograph and each visit, with a 90 % interval.

    A visit may have several radiographs of the same joint. The joint then counts once, from the radiograph with more
    scored joints or, if equal, with the smaller sop_iuid. This choice does not depend on the predictions, so it biases
    no score.

    Args:
        joint_predictions: One row per joint of a radiograph: sop_iuid, patient_id, visit_date, joint, predicted_grade
            (0-5), grade_probability (the six probabilities, as list or array).

    Returns:
        One row per radiograph (scope "radiograph"), then one row per visit (scope "visit", sop_iuid ""), each sorted by
        patient, date and radiograph: scope, patient_id, visit_date, sop_iuid, rau_expected, rau_median, rau_q05,
        rau_q95, rau_from_grades (score of the predicted grades, without uncertainty), n_scored, extrapolated (fewer
        than 32 joints). To the last digit, a row depends only on the joints of its radiograph or visit.

    Raises:
        ValueError: A column or value is missing, a joint of a radiograph is repeated, or a grade or probability is
            outside its range.
    """
    check_frame(
        "joint predictions", joint_predictions, (), required=_INPUT, key=_INPUT[:4], remedy="Select one model version."
    )
    # In order of joints, because convolution in another order differs in the last digit.
    joints = joint_predictions.sort_values("joint", kind="stable", ignore_index=True)
    probability = np.array(joints["grade_probability"].to_list(), dtype=np.float64)
    visit_key = ["patient_id", "visit_date"]
    visit, radiograph = (
        np.asarray(joints.groupby(key).ngroup(), dtype=np.int64) for key in (visit_key, [*visit_key, "sop_iuid"])
    )
    # One row per joint of a visit: from the radiograph with most joints, then with the smallest sop_iuid.
    joint, sop_iuid = (pd.factorize(joints[name], sort=True)[0] for name in ("joint", "sop_iuid"))
    order = np.lexsort((sop_iuid, -np.bincount(radiograph)[radiograph], joint, visit))
    repeats = (np.diff(visit[order], prepend=-1) == 0) & (np.diff(joint[order], prepend=-1) == 0)
    radiographs = _scores(joints, probability, radiograph, np.argsort(radiograph, kind="stable"))
    visits = _scores(joints, probability, visit, order[~repeats])
    both = [radiographs.assign(scope="radiograph"), visits.assign(scope="visit", sop_iuid="")]
    return pd.concat(both, ignore_index=True)[list(COLUMNS)]


def _scores(joints: pd.DataFrame, probability: Floats, group: Codes, rows: Codes) -> pd.DataFrame:
    """Score each group from its rows, which are sorted by group; groups of equal size are convolved together."""
    grades = joints["predicted_grade"].to_numpy(dtype=np.float64)
    size = np.bincount(group[rows])
    start = np.cumsum(size) - size
    score = {name: np.empty(len(size)) for name in SCORE_COLUMNS}
    for n in np.unique(size):
        same_size = np.flatnonzero(size == n)
        for chunk in np.array_split(same_size, -(-len(same_size) // _BATCH)):
            members = rows[start[chunk][:, np.newaxis] + np.arange(n)]
            support, mass = rau_distribution(probability[members])
            score["rau_expected"][chunk] = expectation(support, mass)
            score["rau_median"][chunk] = quantile(support, mass, 0.50)
            score["rau_q05"][chunk] = quantile(support, mass, 0.05)
            score["rau_q95"][chunk] = quantile(support, mass, 0.95)
            score["rau_from_grades"][chunk] = rau_score(grades[members])
    groups: pd.DataFrame = joints.loc[rows[start], ["patient_id", "visit_date", "sop_iuid"]].reset_index(drop=True)
    return groups.assign(**score, n_scored=size.astype(np.int64), extrapolated=size < USUAL_SET)
