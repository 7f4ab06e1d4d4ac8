import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.networks.readout import MOST_PROBABLE, N_POINTS, ReadOutRule, read_out
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.evaluate import difference_interval, evaluate_predictions
from scoring.training.evaluation.subgroups import MEASURES


def _joints(reading, truth=None, per_patient=2):
    reading = np.asarray(reading, np.float32)
    n = len(reading)
    return JointSet(
        images=np.zeros((n, 4, 4), np.uint8),
        reading=reading,
        truth=reading if truth is None else np.asarray(truth, np.float32),
        patient_id=np.array([f"{i // per_patient:05d}" for i in range(n)]),
        joint=np.array(["hand_left_1"] * n),
        sop_iuid=np.array([f"2.25.{i // per_patient}" for i in range(n)]),
        year=np.full(n, 2016),
    )


def _sure(percent):
    return Predictions.sure(np.asarray(percent))


READINGS = [0, 0, 0, 0, 5, 20, 30, 50, 70, 95]


def test_a_perfect_model():
    result = evaluate_predictions(_sure(READINGS), _joints(READINGS))
    assert result.measures["class_normalized_accuracy"] == 1
    assert result.measures["quadratic_weighted_kappa"] == 1
    assert result.measures["crps"] == 0
    assert result.recall == [1.0] * 6
    assert np.trace(np.array(result.confusion)) == result.n == 10
    assert result.n_patients == 5
    assert result.patient_intervals["accuracy"] == (1.0, 1.0)
    assert result.accuracy_wilson == pytest.approx((0.7225, 1.0), abs=1e-3)


def test_always_0_stands_beside():
    result = evaluate_predictions(_sure(READINGS), _joints(READINGS))
    assert result.always_0["accuracy"] == pytest.approx(0.4)
    assert result.always_0["class_normalized_accuracy"] == pytest.approx(1 / 6)
    assert result.always_0["mae"] == pytest.approx(27)
    assert result.always_0["gross_errors"] == 3


def test_against_truth_is_another_question():
    joints = _joints(READINGS, truth=[0] * 10)
    assert evaluate_predictions(_sure(READINGS), joints, against="truth").measures["accuracy"] == pytest.approx(0.4)


def test_what_the_readers_error_leaves_to_reach_stands_beside():
    """A model as good as the truth cannot be blamed for what the reader saw; 2 % is read as 0, 18 % as 20."""
    truth, on_grid = [0, 0, 0, 2, 10, 18, 38, 45, 65, 90], [0, 0, 0, 0, 10, 20, 40, 45, 65, 90]
    result = evaluate_predictions(_sure(on_grid), _joints(READINGS, truth=truth))
    assert result.errorless_reader == pytest.approx(result.measures, nan_ok=True)
    assert 0 < result.measures["mae"] < 10
    assert evaluate_predictions(_sure(truth), _joints(READINGS, truth=[np.nan] * 10)).errorless_reader is None


def test_the_bootstrap_resamples_patients():
    """Ten joints of one patient are one observation: with a single patient the interval has no width."""
    readings, answers = [0, 0, 0, 0, 0, 30, 30, 30, 30, 30], [0, 0, 0, 0, 30, 30, 30, 30, 30, 0]
    together = evaluate_predictions(_sure(answers), _joints(readings, per_patient=10))
    apart = evaluate_predictions(_sure(answers), _joints(readings, per_patient=1))
    assert together.patient_intervals["accuracy"] == (0.8, 0.8)
    low, high = apart.patient_intervals["accuracy"]
    assert low < 0.8 < high


def test_a_grade_without_joints_has_no_recall():
    result = evaluate_predictions(_sure([0, 0]), _joints([0, 0])).to_dict()
    assert result["recall"] == [1.0, None, None, None, None, None]
    assert result["recall_wilson"][1] == [0.0, 1.0]
    assert "NaN" not in json.dumps(result)


def test_no_joint_is_an_error():
    with pytest.raises(ValueError, match="no joint"):
        evaluate_predictions(_sure([]), _joints([]))


def test_a_joint_without_truth_is_an_error():
    with pytest.raises(ValueError, match="truth must be known of every joint: the value at index 9 is not"):
        evaluate_predictions(_sure(READINGS), _joints(READINGS, truth=[0] * 9 + [np.nan]), against="truth")


def test_answers_for_other_joints_are_an_error():
    with pytest.raises(ValueError, match="10 joints need as many answers, but there are 9"):
        evaluate_predictions(_sure(READINGS[1:]), _joints(READINGS))


def _radiographs(reading, per_radiograph=5, radiographs_per_patient=2):
    """Joints on radiographs of `per_radiograph` joints, patients of so many radiographs; no two images as bright."""
    reading = np.asarray(reading, np.float32)
    n, radiograph = len(reading), np.arange(len(reading)) // per_radiograph
    return JointSet(
        images=np.broadcast_to((np.arange(n) * 77 % n).astype(np.uint8)[:, None, None], (n, 4, 4)),
        reading=reading,
        truth=reading,
        patient_id=np.array([f"{f // radiographs_per_patient:05d}" for f in radiograph]),
        joint=np.array(
            [f"hand_{'left' if f % 2 else 'right'}_{i % per_radiograph + 1}" for i, f in enumerate(radiograph)]
        ),
        sop_iuid=np.array([f"2.25.{f}" for f in radiograph]),
        year=2010 + radiograph % radiographs_per_patient,
    )


@pytest.fixture(scope="module")
def noisy():
    """120 joints on 24 radiographs of 12 patients, and answers that are off by some per cent."""
    rng = np.random.default_rng(3)
    joints = _radiographs(rng.choice([0, 0, 0, 5, 20, 30, 50, 70, 95], 120))
    answer = np.clip(joints.reading + rng.normal(0, 8, 120), 0, 100)
    cdf = 1 / (1 + np.exp(-(np.arange(N_POINTS) - answer[:, None]) / 3))
    return joints, Predictions(cdf.astype(np.float32))


def test_the_measures_an_epoch_is_judged_by_are_among_them(noisy):
    joints, given = noisy
    result = evaluate_predictions(given, joints)
    epoch = metrics.evaluate(given.cdf, joints.reading)
    assert {name: result.measures[name] for name in epoch if name != "n"} == pytest.approx(
        {name: value for name, value in epoch.items() if name != "n"}, rel=1e-6
    )


def test_every_measure_has_an_interval_that_holds_it(noisy):
    result = evaluate_predictions(noisy[1], noisy[0])
    assert set(result.patient_intervals) == set(result.measures)
    for name, (low, high) in result.patient_intervals.items():
        if name.endswith("calibration_error"):
            # What is left of chance in a sum of absolute differences grows in a resample.
            assert high > result.measures[name], name
        else:
            assert low <= result.measures[name] <= high, name


def test_rau_errors_are_those_of_the_radiographs(noisy):
    """By hand: the mean grade error of a radiograph, times 38."""
    joints, given = noisy
    rule = ReadOutRule(borders=(2, 15, 30, 50, 70))
    grade = read_out(given.cdf, rule).grade
    result = evaluate_predictions(replace(given, rule=rule), joints).measures
    errors = (grade - joints.grades).reshape(24, 5).mean(axis=1) * 38
    assert result["rau_of_grades_bias"] == pytest.approx(errors.mean())
    assert result["rau_of_grades_mae"] == pytest.approx(np.abs(errors).mean())
    # Two radiographs a patient: the SD within patients is that of half their differences, sqrt(2) times as large.
    change = errors[::2] - errors[1::2]
    assert result["rau_of_grades_sdc"] == pytest.approx(1.96 * np.sqrt(np.mean(change**2)) / np.sqrt(2))
    # Whatever the borders, the distributions are what they were.
    assert result["rau_bias"] == evaluate_predictions(given, joints).measures["rau_bias"]


def test_against_truth_the_change_is_the_methods_own():
    """The reader errs up and down in turn; the method is right."""
    truth = np.array([30.0] * 5 + [50.0] * 5 + [70.0] * 10)
    joints = replace(_radiographs(truth + np.repeat([10, -10, 15, -15], 5)), truth=truth.astype(np.float32))
    against_truth = evaluate_predictions(_sure(truth), joints, against="truth")
    assert against_truth.measures["rau_sdc"] == 0
    assert against_truth.reader is not None
    assert against_truth.reader["rau_sdc"] > 0
    against_reading = evaluate_predictions(_sure(truth), joints)
    assert against_reading.measures["rau_sdc"] == pytest.approx(against_truth.reader["rau_sdc"] / np.sqrt(2))
    assert against_reading.reader is None


def test_an_error_that_all_radiographs_of_a_patient_share_is_no_change():
    joints = _radiographs([30] * 20)
    assert evaluate_predictions(_sure([50] * 20), joints).measures["rau_sdc"] == 0
    assert evaluate_predictions(_sure([50] * 20), joints).measures["rau_bias"] == 38


def test_patients_with_one_radiograph_show_no_change():
    assert np.isnan(evaluate_predictions(_sure(READINGS), _joints(READINGS)).measures["rau_sdc"])


def test_grades_and_intervals_are_read_by_the_models_own_rule(noisy):
    joints, given = noisy
    rule = ReadOutRule(MOST_PROBABLE, interval_level=1.0)
    own, read = evaluate_predictions(replace(given, rule=rule), joints), read_out(given.cdf, rule)
    assert own.measures["accuracy"] == pytest.approx((read.grade == joints.grades).mean())
    assert own.measures["accuracy"] != evaluate_predictions(given, joints).measures["accuracy"]
    assert own.measures["coverage_90"] == 1
    assert own.measures["interval_width"] == pytest.approx((read.q95 - read.q05).mean())
    assert own.measures["mae"] == evaluate_predictions(given, joints).measures["mae"] > 0
    hits = sum(row.n * row.measures["accuracy"] for row in own.subgroups if row.by == "side")
    assert hits == pytest.approx((read.grade == joints.grades).sum())


def test_figures_of_the_card_add_up(noisy):
    result = evaluate_predictions(noisy[1], noisy[0])
    assert sum(result.pit) == pytest.approx(1)
    assert sum(row["n"] for row in result.reliability) == 120
    assert all(0 <= row["hits"] <= 1 for row in result.reliability)
    assert sum(row["n"] for row in result.spread) == 120
    assert all(row["q05"] <= row["q50"] <= row["q95"] for row in result.spread)
    assert result.n_radiographs == 24


def test_few_joints_of_a_step_are_not_shown():
    result = evaluate_predictions(_sure([0] * 10), _joints([0] * 6 + [70] * 4))
    assert [row["erosion"] for row in result.spread] == [0]


def test_a_model_against_itself_makes_no_difference(noisy):
    same = difference_interval(noisy[1], noisy[1], noisy[0], measures=["crps", "rau_sdc"])
    assert [(d.value, d.low, d.high) for d in same.values()] == [(0, 0, 0)] * 2


def test_a_difference_between_models_is_seen_more_clearly_in_pairs(noisy):
    """A tenth less error on each joint: the single intervals overlap, that of the difference lies above 0."""
    joints, error = noisy[0], np.random.default_rng(5).normal(0, 12, 120)
    worse, better = (_sure(np.clip(joints.reading + share * error, 0, 100)) for share in (1, 0.9))
    difference = difference_interval(worse, better, joints, measures=["mae"])["mae"]
    single = [evaluate_predictions(one, joints).patient_intervals["mae"] for one in (worse, better)]
    assert single[0][0] < single[1][1]
    assert 0 < difference.low < difference.value < difference.high


def test_a_reader_may_be_compared_with_a_model():
    """Both against the truth: the reader errs, the model does not."""
    truth = np.repeat([30.0, 50, 70, 90], 10)
    joints = replace(_radiographs(truth + np.repeat([10, -10], 5).tolist() * 4), truth=truth.astype(np.float32))
    found = difference_interval(
        Predictions.sure(truth), Predictions.sure(joints.reading), joints, measures=["rau_sdc"], against="truth"
    )["rau_sdc"]
    reader = evaluate_predictions(_sure(truth), joints, against="truth").reader
    assert found.value == pytest.approx(-reader["rau_sdc"])
    assert found.high < 0


def test_an_unknown_measure_is_named(noisy):
    with pytest.raises(ValueError, match="no measure beauty; the measures are accuracy, "):
        difference_interval(noisy[1], noisy[1], noisy[0], measures=["beauty"])


def test_subgroups_part_the_joints(noisy):
    joints, given = noisy
    result = evaluate_predictions(given, joints)
    for by in ("joint", "side", "exposure", "severity", "year"):
        rows = [row for row in result.subgroups if row.by == by]
        assert sum(row.n or 0 for row in rows) == 120, by
        correct = sum(row.n * row.measures["accuracy"] for row in rows)
        assert correct / 120 == pytest.approx(result.measures["accuracy"])
    assert [row.group for row in result.subgroups if row.by == "exposure"] == ["dark", "medium", "bright"]
    assert {row.group for row in result.subgroups if row.by == "side"} == {"left", "right"}


def test_by_severity_there_is_recall_and_no_kappa(noisy):
    result, severities = evaluate_predictions(noisy[1], noisy[0]), 0
    for row in result.subgroups:
        expected = set(MEASURES) - ({"quadratic_weighted_kappa"} if row.by == "severity" else set())
        if row.n is None:
            continue
        assert set(row.measures) == set(row.patient_intervals) == expected
        if row.by == "severity":
            severities += 1
            assert row.measures["class_normalized_accuracy"] == pytest.approx(result.recall[int(row.group)])
    assert severities >= 4


def test_a_group_of_few_patients_is_suppressed():
    joints = _radiographs([0] * 60 + [30] * 20, per_radiograph=5, radiographs_per_patient=1)
    rows = {row.group: row for row in evaluate_predictions(_sure([0] * 80), joints).subgroups if row.by == "severity"}
    assert rows["0"].n == 60
    assert (rows["2"].n, rows["2"].n_patients, rows["2"].measures) == (None, None, {})


def test_subgroups_may_be_written_as_json(noisy):
    written = evaluate_predictions(noisy[1], noisy[0]).to_dict()
    assert json.loads(json.dumps(written)) == json.loads(json.dumps(written, allow_nan=False))
    assert written["subgroups"][0]["by"] == "joint"


@settings(max_examples=25)
@given(arrays(np.int64, 12, elements=st.sampled_from([0, 5, 20, 40, 80, 100])), st.integers(0, 100))
def test_the_order_of_the_joints_does_not_matter(readings, seed):
    joints = _radiographs(readings, per_radiograph=3)
    order = np.random.default_rng(seed).permutation(12)
    given = _sure(np.roll(readings, 1))
    one = evaluate_predictions(given, joints)
    other = evaluate_predictions(given.take(order), joints.take(order))
    assert other.measures == pytest.approx(one.measures, nan_ok=True)
