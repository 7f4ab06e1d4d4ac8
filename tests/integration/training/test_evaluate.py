import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scoring.networks.readout import MOST_PROBABLE, N_POINTS, ReadOutRule, read_out
from scoring.training.evaluation import metrics
from scoring.training.evaluation.bootstrap import Predictions
from scoring.training.evaluation.evaluate import difference_interval, evaluate_predictions
from scoring.training.evaluation.subgroups import MEASURES
from tests.lib.joint_sets import joint_set, radiograph_set


def _certain(percent):
    return Predictions.certain(np.asarray(percent))


def _joints(reading, truth=None, per_patient=2):
    """Joints of patients with one radiograph each."""
    truth = np.asarray(reading if truth is None else truth, np.float32)
    return joint_set(reading, truth=truth, joints_per_patient=per_patient)


READINGS = [0, 0, 0, 0, 5, 20, 30, 50, 70, 95]


def test_evaluate_predictions_of_a_perfect_model():
    result = evaluate_predictions(_certain(READINGS), _joints(READINGS))
    assert result.measures["class_normalized_accuracy"] == 1
    assert result.measures["quadratic_weighted_kappa"] == 1
    assert result.measures["crps"] == 0
    assert result.recall == [1.0] * 6
    assert np.trace(np.array(result.confusion)) == result.n == 10
    assert result.n_patients == 5
    assert result.patient_intervals["accuracy"] == (1.0, 1.0)
    assert result.accuracy_wilson == pytest.approx((0.7225, 1.0), abs=1e-3)


def test_evaluate_predictions_compares_with_always_0():
    result = evaluate_predictions(_certain(READINGS), _joints(READINGS))
    assert result.always_0["accuracy"] == pytest.approx(0.4)
    assert result.always_0["class_normalized_accuracy"] == pytest.approx(1 / 6)
    assert result.always_0["mae"] == pytest.approx(27)
    assert result.always_0["gross_errors"] == 3


def test_evaluate_predictions_against_truth_ignores_readings():
    joints = _joints(READINGS, truth=[0] * 10)
    assert evaluate_predictions(_certain(READINGS), joints, against="truth").measures["accuracy"] == pytest.approx(0.4)


def test_evaluate_predictions_compares_with_an_error_free_reader():
    """An error-free reader writes 2 % as 0 and 18 % as 20, as this model does."""
    truth, on_grid = [0, 0, 0, 2, 10, 18, 38, 45, 65, 90], [0, 0, 0, 0, 10, 20, 40, 45, 65, 90]
    result = evaluate_predictions(_certain(on_grid), _joints(READINGS, truth=truth))
    assert result.errorless_reader == pytest.approx(result.measures, nan_ok=True)
    assert 0 < result.measures["mae"] < 10
    assert evaluate_predictions(_certain(truth), _joints(READINGS, truth=[np.nan] * 10)).errorless_reader is None


def test_evaluate_predictions_resamples_patients():
    """Ten joints of one patient are one observation: with a single patient the interval has no width."""
    readings, predicted = [0, 0, 0, 0, 0, 30, 30, 30, 30, 30], [0, 0, 0, 0, 30, 30, 30, 30, 30, 0]
    together = evaluate_predictions(_certain(predicted), _joints(readings, per_patient=10))
    apart = evaluate_predictions(_certain(predicted), _joints(readings, per_patient=1))
    assert together.patient_intervals["accuracy"] == (0.8, 0.8)
    low, high = apart.patient_intervals["accuracy"]
    assert low < 0.8 < high


def test_to_dict_has_no_recall_of_a_grade_without_joints():
    result = evaluate_predictions(_certain([0, 0]), _joints([0, 0])).to_dict()
    assert result["recall"] == [1.0, None, None, None, None, None]
    assert result["recall_wilson"][1] == [0.0, 1.0]
    assert "NaN" not in json.dumps(result)


def test_evaluate_predictions_rejects_an_empty_set():
    with pytest.raises(ValueError, match="no joint to evaluate"):
        evaluate_predictions(_certain([]), _joints([]))


def test_evaluate_predictions_rejects_unknown_truth():
    with pytest.raises(ValueError, match="truth must be known for every joint: the value at index 9 is not"):
        evaluate_predictions(_certain(READINGS), _joints(READINGS, truth=[0] * 9 + [np.nan]), against="truth")


def test_evaluate_predictions_rejects_missing_predictions():
    with pytest.raises(ValueError, match="There are 9 predictions for 10 joints"):
        evaluate_predictions(_certain(READINGS[1:]), _joints(READINGS))


@pytest.fixture(scope="module")
def noisy():
    """120 joints on 24 radiographs of 12 patients, and predictions with an error of some percent."""
    rng = np.random.default_rng(3)
    joints = radiograph_set(rng.choice([0, 0, 0, 5, 20, 30, 50, 70, 95], 120))
    predicted = np.clip(joints.reading + rng.normal(0, 8, 120), 0, 100)
    cdf = 1 / (1 + np.exp(-(np.arange(N_POINTS) - predicted[:, None]) / 3))
    return joints, Predictions(cdf.astype(np.float32))


def test_evaluate_predictions_includes_the_measures_of_an_epoch(noisy):
    joints, given = noisy
    result = evaluate_predictions(given, joints)
    epoch = metrics.evaluate(given.cdf, joints.reading)
    assert {name: result.measures[name] for name in epoch if name != "n"} == pytest.approx(
        {name: value for name, value in epoch.items() if name != "n"}, rel=1e-6
    )


def test_evaluate_predictions_gives_every_measure_an_interval_around_it(noisy):
    result = evaluate_predictions(noisy[1], noisy[0])
    assert set(result.patient_intervals) == set(result.measures)
    for name, (low, high) in result.patient_intervals.items():
        if name.endswith("calibration_error"):
            # A sum of absolute differences increases in a resample, because chance adds to it.
            assert high > result.measures[name], name
        else:
            assert low <= result.measures[name] <= high, name


def test_evaluate_predictions_computes_rau_errors_per_radiograph(noisy):
    """By hand, the Rau error of a radiograph is its mean grade error times 38."""
    joints, given = noisy
    rule = ReadOutRule(borders=(2, 15, 30, 50, 70))
    grade = read_out(given.cdf, rule).grade
    result = evaluate_predictions(replace(given, rule=rule), joints).measures
    errors = (grade - joints.grades).reshape(24, 5).mean(axis=1) * 38
    assert result["rau_of_grades_bias"] == pytest.approx(errors.mean())
    assert result["rau_of_grades_mae"] == pytest.approx(np.abs(errors).mean())
    # With two radiographs per patient, the SD within patients is sqrt(2) times that of half their differences.
    change = errors[::2] - errors[1::2]
    assert result["rau_of_grades_sdc"] == pytest.approx(1.96 * np.sqrt(np.mean(change**2)) / np.sqrt(2))
    # The borders of grades do not change the expected score.
    assert result["rau_bias"] == evaluate_predictions(given, joints).measures["rau_bias"]


def test_evaluate_predictions_against_truth_has_the_sdc_of_the_method_alone():
    """The readings are too high and too low in turn; the method is correct."""
    truth = np.array([30.0] * 5 + [50.0] * 5 + [70.0] * 10)
    joints = replace(radiograph_set(truth + np.repeat([10, -10, 15, -15], 5)), truth=truth.astype(np.float32))
    against_truth = evaluate_predictions(_certain(truth), joints, against="truth")
    assert against_truth.measures["rau_sdc"] == 0
    assert against_truth.reader is not None
    assert against_truth.reader["rau_sdc"] > 0
    against_reading = evaluate_predictions(_certain(truth), joints)
    assert against_reading.measures["rau_sdc"] == pytest.approx(against_truth.reader["rau_sdc"] / np.sqrt(2))
    assert against_reading.reader is None


def test_evaluate_predictions_excludes_errors_that_radiographs_share_from_the_sdc():
    joints = radiograph_set([30] * 20)
    assert evaluate_predictions(_certain([50] * 20), joints).measures["rau_sdc"] == 0
    assert evaluate_predictions(_certain([50] * 20), joints).measures["rau_bias"] == 38


def test_evaluate_predictions_has_no_sdc_for_patients_with_one_radiograph():
    assert np.isnan(evaluate_predictions(_certain(READINGS), _joints(READINGS)).measures["rau_sdc"])


def test_evaluate_predictions_reads_grades_and_intervals_by_the_models_rule(noisy):
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


def test_evaluate_predictions_returns_consistent_figures_for_the_card(noisy):
    result = evaluate_predictions(noisy[1], noisy[0])
    assert sum(result.pit) == pytest.approx(1)
    assert sum(row["n"] for row in result.reliability) == 120
    assert all(0 <= row["hits"] <= 1 for row in result.reliability)
    assert sum(row["n"] for row in result.spread) == 120
    assert all(row["q05"] <= row["q50"] <= row["q95"] for row in result.spread)
    assert result.n_radiographs == 24


def test_evaluate_predictions_omits_the_spread_of_steps_with_few_joints():
    result = evaluate_predictions(_certain([0] * 10), _joints([0] * 6 + [70] * 4))
    assert [row["erosion"] for row in result.spread] == [0]


def test_difference_interval_of_equal_models_is_zero(noisy):
    same = difference_interval(noisy[1], noisy[1], noisy[0], measures=["crps", "rau_sdc"])
    assert [(d.value, d.low, d.high) for d in same.values()] == [(0, 0, 0)] * 2


def test_difference_interval_is_narrower_than_single_intervals(noisy):
    """With a tenth less error on each joint, the single intervals overlap, and that of the difference is above 0."""
    joints, error = noisy[0], np.random.default_rng(5).normal(0, 12, 120)
    worse, better = (_certain(np.clip(joints.reading + share * error, 0, 100)) for share in (1, 0.9))
    difference = difference_interval(worse, better, joints, measures=["mae"])["mae"]
    single = [evaluate_predictions(one, joints).patient_intervals["mae"] for one in (worse, better)]
    assert single[0][0] < single[1][1]
    assert 0 < difference.low < difference.value < difference.high


def test_difference_interval_compares_a_model_with_a_reader():
    """Both are compared with the truth: the reader errs, the model does not."""
    truth = np.repeat([30.0, 50, 70, 90], 10)
    joints = replace(radiograph_set(truth + np.repeat([10, -10], 5).tolist() * 4), truth=truth.astype(np.float32))
    found = difference_interval(
        Predictions.certain(truth), Predictions.certain(joints.reading), joints, measures=["rau_sdc"], against="truth"
    )["rau_sdc"]
    reader = evaluate_predictions(_certain(truth), joints, against="truth").reader
    assert found.value == pytest.approx(-reader["rau_sdc"])
    assert found.high < 0


def test_difference_interval_rejects_an_unknown_measure(noisy):
    with pytest.raises(ValueError, match=r"Unknown measures: beauty\. Use some of: accuracy, "):
        difference_interval(noisy[1], noisy[1], noisy[0], measures=["beauty"])


def test_evaluate_subgroups_partitions_the_joints(noisy):
    joints, given = noisy
    result = evaluate_predictions(given, joints)
    for by in ("joint", "side", "exposure", "severity", "year"):
        rows = [row for row in result.subgroups if row.by == by]
        assert sum(row.n or 0 for row in rows) == 120, by
        correct = sum(row.n * row.measures["accuracy"] for row in rows)
        assert correct / 120 == pytest.approx(result.measures["accuracy"])
    assert [row.group for row in result.subgroups if row.by == "exposure"] == ["dark", "medium", "bright"]
    assert {row.group for row in result.subgroups if row.by == "side"} == {"left", "right"}


def test_evaluate_subgroups_has_recall_and_no_kappa_by_severity(noisy):
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


def test_evaluate_subgroups_suppresses_groups_of_few_patients():
    joints = radiograph_set([0] * 60 + [30] * 20, joints_per_radiograph=5, radiographs_per_patient=1)
    rows = {
        row.group: row for row in evaluate_predictions(_certain([0] * 80), joints).subgroups if row.by == "severity"
    }
    assert rows["0"].n == 60
    assert (rows["2"].n, rows["2"].n_patients, rows["2"].measures) == (None, None, {})


def test_to_dict_returns_subgroups_as_json(noisy):
    written = evaluate_predictions(noisy[1], noisy[0]).to_dict()
    assert json.loads(json.dumps(written)) == json.loads(json.dumps(written, allow_nan=False))
    assert written["subgroups"][0]["by"] == "joint"


@settings(max_examples=25)
@given(arrays(np.int64, 12, elements=st.sampled_from([0, 5, 20, 40, 80, 100])), st.integers(0, 100))
def test_evaluate_predictions_does_not_depend_on_the_order_of_joints(readings, seed):
    joints = radiograph_set(readings, joints_per_radiograph=3)
    order = np.random.default_rng(seed).permutation(12)
    given = _certain(np.roll(readings, 1))
    one = evaluate_predictions(given, joints)
    other = evaluate_predictions(given.take(order), joints.take(order))
    assert other.measures == pytest.approx(one.measures, nan_ok=True)
