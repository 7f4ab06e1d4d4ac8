import json

import numpy as np
import pytest

from scoring.networks.readout import N_POINTS
from scoring.training.dataset import JointSet
from scoring.training.evaluate import evaluate_model, evaluate_predictions


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
    return (np.arange(N_POINTS) >= np.asarray(percent)[:, None]).astype(np.float32)


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
    assert result.errorless_reader == result.measures
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
        evaluate_predictions(np.empty((0, N_POINTS), np.float32), _joints([]))


def test_the_model_sees_the_images():
    joints = _joints(READINGS)
    result = evaluate_model(lambda images: _sure([0] * len(images)), joints, engine="openvino float32")
    assert result.measures == pytest.approx(result.always_0)
    assert result.engine == "openvino float32"
