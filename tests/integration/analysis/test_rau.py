import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.analysis.rau import COLUMNS, rau_predictions
from scoring.clinical.joints import COLUMNS as JOINTS
from scoring.clinical.rau import expectation, quantile, rau_distribution, rau_score

DAY = dt.date(2026, 11, 21)


def predictions(radiographs, seed=0):
    """Make joint predictions of radiographs given as (sop_iuid, patient_id, visit_date, joints)."""
    rng = np.random.default_rng(seed)
    rows = []
    for sop_iuid, patient_id, visit_date, joints in radiographs:
        for joint in joints:
            probability = rng.dirichlet(np.full(6, 0.4))
            rows.append((sop_iuid, patient_id, visit_date, joint, int(probability.argmax()), probability.tolist()))
    columns = ["sop_iuid", "patient_id", "visit_date", "joint", "predicted_grade", "grade_probability"]
    return pd.DataFrame(rows, columns=columns)


radiographs = st.lists(
    st.tuples(
        st.sampled_from(["00001", "00002", "1"]),
        st.sampled_from([DAY, DAY + dt.timedelta(days=90)]),
        st.lists(st.sampled_from(JOINTS[:6]), min_size=1, unique=True),
    ),
    min_size=1,
    max_size=6,
).map(lambda drawn: [(f"1.2.{i}", *radiograph) for i, radiograph in enumerate(drawn)])


def one_by_one(joint_predictions):
    """Group the joints of each row of the table with simple loops."""
    rows = []
    for key, radiograph in joint_predictions.groupby(["patient_id", "visit_date", "sop_iuid"]):
        rows.append(("radiograph", *key, radiograph))
    for key, visit in joint_predictions.groupby(["patient_id", "visit_date"]):
        radiograph_size = visit["sop_iuid"].map(visit["sop_iuid"].value_counts())
        ranked = visit.assign(radiograph_size=-radiograph_size).sort_values(["radiograph_size", "sop_iuid"])
        rows.append(("visit", *key, "", ranked.drop_duplicates("joint")))
    return rows


@given(radiographs, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_rau_predictions_agree_with_simple_loops_in_any_order_of_rows(drawn, random):
    joint_predictions = predictions(drawn)
    shuffled = joint_predictions.iloc[random.sample(range(len(joint_predictions)), len(joint_predictions))]
    found = rau_predictions(shuffled)
    expected = one_by_one(joint_predictions)
    assert tuple(found.columns) == COLUMNS
    assert len(found) == len(expected)
    for row, (scope, patient_id, visit_date, sop_iuid, joints) in zip(found.itertuples(), expected, strict=True):
        assert (row.scope, row.patient_id, row.visit_date, row.sop_iuid) == (scope, patient_id, visit_date, sop_iuid)
        distribution = rau_distribution(joints["grade_probability"].to_list())
        assert (row.n_scored, row.extrapolated) == (len(joints), len(joints) < 32)
        assert row.rau_from_grades == pytest.approx(rau_score(joints["predicted_grade"]))
        assert (row.rau_expected, row.rau_median, row.rau_q05, row.rau_q95) == pytest.approx(
            (float(expectation(*distribution)), *(float(quantile(*distribution, level)) for level in (0.5, 0.05, 0.95)))
        )


@given(radiographs)
@settings(max_examples=40)
@pytest.mark.slow
def test_rau_predictions_do_not_depend_on_other_patients_to_the_last_digit(drawn):
    joint_predictions = predictions(drawn)
    together = rau_predictions(joint_predictions)
    alone = [rau_predictions(own) for _, own in joint_predictions.groupby("patient_id")]
    apart = pd.concat(alone).sort_values(["scope", "patient_id", "visit_date", "sop_iuid"], ignore_index=True)
    pd.testing.assert_frame_equal(together, apart, check_exact=True)


def test_rau_predictions_do_not_depend_on_the_order_of_rows_to_the_last_digit():
    # With ten joints, another order of convolution would round differently.
    joint_predictions = predictions([(f"1.{i}", f"{i:05d}", DAY, JOINTS[:10]) for i in range(20)])
    shuffled = joint_predictions.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(rau_predictions(shuffled), rau_predictions(joint_predictions), check_exact=True)


def test_rau_predictions_count_a_joint_once_from_the_radiograph_with_more_joints():
    joint_predictions = predictions([("1.1", "7", DAY, ["hand_left_1"]), ("1.2", "7", DAY, JOINTS[:2])])
    joint_predictions["predicted_grade"] = [5, 0, 1]
    visit = rau_predictions(joint_predictions).query("scope == 'visit'").iloc[0]
    assert (visit["n_scored"], visit["rau_from_grades"]) == (2, 19)


def test_rau_predictions_prefer_the_smaller_uid_of_radiographs_with_equally_many_joints():
    joint_predictions = predictions([("1.9", "7", DAY, ["hand_left_1"]), ("1.10", "7", DAY, ["hand_left_1"])])
    joint_predictions["predicted_grade"] = [5, 2]
    visit = rau_predictions(joint_predictions).query("scope == 'visit'").iloc[0]
    # Smaller as text, which is how the warehouse sorts.
    assert visit["rau_from_grades"] == 2 * 38


def test_rau_predictions_combine_radiographs_to_a_visit_and_flag_fewer_than_32_joints():
    found = rau_predictions(predictions([("1.1", "7", DAY, JOINTS[:10]), ("1.2", "7", DAY, JOINTS[10:])]))
    assert found[["scope", "sop_iuid", "n_scored", "extrapolated"]].values.tolist() == [
        ["radiograph", "1.1", 10, True],
        ["radiograph", "1.2", 22, True],
        ["visit", "", 32, False],
    ]


def test_rau_predictions_of_no_joints_are_empty_with_all_columns():
    found = rau_predictions(predictions([]))
    assert found.empty
    assert tuple(found.columns) == COLUMNS
    assert (found["n_scored"].dtype, found["extrapolated"].dtype) == (np.int64, bool)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="joint"), "lack the columns joint"),
        (lambda frame: frame.assign(patient_id=None), "Joint predictions without patient_id: 2"),
        (lambda frame: frame.assign(predicted_grade=[1, None]), "Joint predictions without predicted_grade: 1"),
        (
            lambda frame: frame.assign(grade_probability=[None, [1, 0, 0, 0, 0, 0]]),
            "without grade_probability: 1",
        ),
        (
            lambda frame: frame.assign(joint="hand_left_1"),
            r"Repeated joint predictions .*: 1. Select",
        ),
        (lambda frame: frame.assign(grade_probability=[[0.5] * 6] * 2), "sum to 1"),
        (lambda frame: frame.assign(predicted_grade=6), "grade must be between 0 and 5"),
    ],
)
def test_rau_predictions_reject_invalid_input(change, message):
    with pytest.raises(ValueError, match=message):
        rau_predictions(change(predictions([("1.1", "7", DAY, JOINTS[:2])])))


def test_rau_predictions_accept_float32_probabilities_from_the_warehouse():
    joint_predictions = predictions([("1.1", "7", DAY, JOINTS[:10])])
    exact = rau_predictions(joint_predictions)
    in_float32 = [np.asarray(row, dtype=np.float32) for row in joint_predictions["grade_probability"]]
    kept = rau_predictions(joint_predictions.assign(grade_probability=in_float32))
    np.testing.assert_allclose(kept["rau_expected"], exact["rau_expected"], rtol=1e-5)
