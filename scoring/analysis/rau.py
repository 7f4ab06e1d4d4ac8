"""Rau scores of radiographs and visits from the predictions of their joints."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.clinical.rau import USUAL_SET, expectation, quantile, rau_distribution, rau_score

SCORE_COLUMNS = ("rau_expected", "rau_median", "rau_q05", "rau_q95", "rau_from_grades")
COLUMNS = ("scope", "patient_id", "visit_date", "sop_iuid", *SCORE_COLUMNS, "n_scored", "extrapolated")

# Radiographs convolved together; bounds memory to some tens of MB whatever the number of radiographs.
_BATCH = 10_000


def rau_predictions(joint_predictions: pd.DataFrame) -> pd.DataFrame:
    """Rau score with a 90 % interval for each radiograph and each visit.

    A visit may have several radiographs that show the same joint. The joint then counts once, from the radiograph with more joints
    scored, and among equals from the radiograph with the smaller sop_iuid. The choice looks at nothing that was predicted, so
    a visit's score does not drift to the worse or the better radiograph.

    Args:
        joint_predictions: One row a joint of a radiograph: sop_iuid, patient_id, visit_date, joint, predicted_grade (0-5),
            grade_probability (the six probabilities, as list or array).

    Returns:
        One row a radiograph (scope "radiograph"), then one row a visit (scope "visit", sop_iuid ""), each sorted by patient, date
        and radiograph: scope, patient_id, visit_date, sop_iuid, rau_expected, rau_median, rau_q05, rau_q95, rau_from_grades
        (the score of the predicted grades, without uncertainty), n_scored, extrapolated (fewer than 32 joints). A row
        depends on the joints of that radiograph or visit only, to the last digit.

    Raises:
        ValueError: A column is missing, a key is null, a joint of a radiograph is there twice, or a grade or probability is
            missing or outside its range.
    """
    _check(joint_predictions)
    if joint_predictions.empty:
        return _empty()
    # Always by joint: the same joints convolved in another order would differ in the last digit.
    joints = joint_predictions.sort_values("joint", kind="stable", ignore_index=True)
    probability = np.array(joints["grade_probability"].to_list(), dtype=np.float64)
    code = {
        name: pd.factorize(joints[name], sort=True)[0] for name in ("patient_id", "visit_date", "sop_iuid", "joint")
    }
    visit = _number([code["patient_id"], code["visit_date"]])
    radiograph = _number([visit, code["sop_iuid"]])
    of_visit = _one_radiograph_a_joint(visit, code["joint"], np.bincount(radiograph)[radiograph], code["sop_iuid"])
    radiographs = _scores(joints, probability, radiograph, np.argsort(radiograph, kind="stable"))
    visits = _scores(joints, probability, visit, of_visit)
    found = pd.concat(
        [radiographs.assign(scope="radiograph"), visits.assign(scope="visit", sop_iuid="")], ignore_index=True
    )
    return found[list(COLUMNS)]


def _one_radiograph_a_joint(
    visit: npt.NDArray[np.int64],
    joint: npt.NDArray[np.int64],
    joints_of_radiograph: npt.NDArray[np.int64],
    sop_iuid: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Rows that stand for their visit, by visit and joint: the first of each by radiograph size, then by radiograph."""
    order = np.lexsort((sop_iuid, -joints_of_radiograph, joint, visit))
    repeats = (np.diff(visit[order], prepend=-1) == 0) & (np.diff(joint[order], prepend=-1) == 0)
    return np.asarray(order[~repeats], dtype=np.int64)


def _number(keys: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Number the distinct combinations of keys 0, 1, ... in the order of the keys."""
    order = np.lexsort(keys[::-1])
    changes = np.any([np.diff(key[order], prepend=key[order[0]]) != 0 for key in keys], axis=0)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(changes)
    return number


def _scores(
    joints: pd.DataFrame,
    probability: npt.NDArray[np.float64],
    group: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> pd.DataFrame:
    """Score each group from its rows, which are ordered by group; groups of equal size are convolved together."""
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


def _check(joint_predictions: pd.DataFrame) -> None:
    keys = ["patient_id", "visit_date", "sop_iuid", "joint"]
    needed = [*keys, "predicted_grade", "grade_probability"]
    lacking = [name for name in needed if name not in joint_predictions.columns]
    if lacking:
        raise ValueError(f"joint predictions lack the columns {', '.join(lacking)}")
    for name in needed:
        n_null = int(joint_predictions[name].isna().sum())
        if n_null:
            raise ValueError(f"{n_null} joint predictions have no {name}; leave them out")
    n_repeated = int(joint_predictions.duplicated(keys).sum())
    if n_repeated:
        raise ValueError(f"{n_repeated} joint predictions repeat a joint of a radiograph; choose one model version")


def _empty() -> pd.DataFrame:
    text = dict.fromkeys(("scope", "patient_id", "visit_date", "sop_iuid"), "object")
    dtypes = {**text, **dict.fromkeys(SCORE_COLUMNS, "float64"), "n_scored": "int64", "extrapolated": "bool"}
    return pd.DataFrame({name: pd.Series(dtype=dtypes[name]) for name in COLUMNS})
