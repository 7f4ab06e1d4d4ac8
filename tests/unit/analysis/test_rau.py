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
    """Joint predictions of radiographs given as (sop_iuid, patient_id, visit_date, joints)."""
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
    """The same table by the plainest loops."""
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
def test_table_equals_the_plain_loops_in_any_order_of_rows(drawn, random):
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
def test_a_row_does_not_depend_on_who_else_came_that_night_to_the_last_digit(drawn):
    joint_predictions = predictions(drawn)
    together = rau_predictions(joint_predictions)
    alone = [rau_predictions(own) for _, own in joint_predictions.groupby("patient_id")]
    apart = pd.concat(alone).sort_values(["scope", "patient_id", "visit_date", "sop_iuid"], ignore_index=True)
    pd.testing.assert_frame_equal(together, apart, check_exact=True)


def test_order_of_the_rows_changes_no_digit():
    # Ten joints, so that another order of convolution would round differently.
    joint_predictions = predictions([(f"1.{i}", f"{i:05d}", DAY, JOINTS[:10]) for i in range(20)])
    shuffled = joint_predictions.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(rau_predictions(shuffled), rau_predictions(joint_predictions), check_exact=True)


def test_a_joint_on_two_radiographs_counts_once_from_the_fuller_radiograph():
    joint_predictions = predictions([("1.1", "7", DAY, ["hand_left_1"]), ("1.2", "7", DAY, JOINTS[:2])])
    joint_predictions["predicted_grade"] = [5, 0, 1]
    visit = rau_predictions(joint_predictions).query("scope == 'visit'").iloc[0]
    assert (visit["n_scored"], visit["rau_from_grades"]) == (2, 19)


def test_among_radiographs_equally_full_the_smaller_uid_counts():
    joint_predictions = predictions([("1.9", "7", DAY, ["hand_left_1"]), ("1.10", "7", DAY, ["hand_left_1"])])
    joint_predictions["predicted_grade"] = [5, 2]
    visit = rau_predictions(joint_predictions).query("scope == 'visit'").iloc[0]
    # Smaller as text, as the warehouse sorts it.
    assert visit["rau_from_grades"] == 2 * 38


def test_radiographs_of_both_hands_make_one_visit_and_32_joints_are_not_extrapolated():
    found = rau_predictions(predictions([("1.1", "7", DAY, JOINTS[:10]), ("1.2", "7", DAY, JOINTS[10:])]))
    assert found[["scope", "sop_iuid", "n_scored", "extrapolated"]].values.tolist() == [
        ["radiograph", "1.1", 10, True],
        ["radiograph", "1.2", 22, True],
        ["visit", "", 32, False],
    ]


def test_no_predictions_make_an_empty_table_with_all_columns():
    found = rau_predictions(predictions([]))
    assert found.empty
    assert tuple(found.columns) == COLUMNS
    assert (found["n_scored"].dtype, found["extrapolated"].dtype) == (np.int64, bool)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="joint"), "lack the columns joint"),
        (lambda frame: frame.assign(patient_id=None), "2 joint predictions have no patient_id"),
        (lambda frame: frame.assign(predicted_grade=[1, None]), "1 joint predictions have no predicted_grade"),
        (lambda frame: frame.assign(grade_probability=[None, [1, 0, 0, 0, 0, 0]]), "have no grade_probability"),
        (lambda frame: frame.assign(joint="hand_left_1"), "1 joint predictions repeat a joint of a radiograph"),
        (lambda frame: frame.assign(grade_probability=[[0.5] * 6] * 2), "sum to 1"),
        (lambda frame: frame.assign(predicted_grade=6), "grade must be within 0 to 5"),
    ],
)
def test_predictions_that_make_no_score_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        rau_predictions(change(predictions([("1.1", "7", DAY, JOINTS[:2])])))


def test_probabilities_as_the_warehouse_keeps_them_are_accepted():
    joint_predictions = predictions([("1.1", "7", DAY, JOINTS[:10])])
    exact = rau_predictions(joint_predictions)
    in_float32 = [np.asarray(row, dtype=np.float32) for row in joint_predictions["grade_probability"]]
    kept = rau_predictions(joint_predictions.assign(grade_probability=in_float32))
    np.testing.assert_allclose(kept["rau_expected"], exact["rau_expected"], rtol=1e-5)
