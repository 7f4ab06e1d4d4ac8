"""Sets that no model may be trained on, and the numbers in the error message."""

import numpy as np
import pandas as pd
import pytest

from scoring.errors import BadInput
from scoring.settings import Settings
from scoring.validation.training_set import check_training_set

SETTINGS = Settings(_env_file=None, min_joints_of_grade=20, min_training_patients=50)


@pytest.fixture(scope="module")
def joints():
    """600 joints of 60 patients: 42 in the training, 12 in the validation and 6 in the test set; balanced grades."""
    index = np.arange(600)
    patient, grade = index % 60, (index // 60) % 6
    return pd.DataFrame(
        {
            "pixels_sha256": [f"{i:064x}" for i in index],
            "joint": "hand_left_1",
            "patient_id": pd.Series([f"{p:05d}" for p in patient], dtype="str"),
            "part": np.where(patient < 42, "train", np.where(patient < 54, "validation", "test")),
            "reading_percent": np.where(grade == 0, 0.0, grade * 20.0 - 10),
            "grade": grade,
        }
    )


def check(joints, settings=SETTINGS, min_test_patients=5):
    return check_training_set(joints, settings, min_test_patients=min_test_patients)


def rejection(joints, **limits):
    with pytest.raises(BadInput) as rejected:
        check(joints, **limits)
    return str(rejected.value)


def test_check_training_set_returns_the_numbers_of_a_valid_set(joints):
    verdict = check(joints)
    assert verdict.joints["train"] == [84, 84, 84, 84, 42, 42]
    assert sum(map(sum, verdict.joints.values())) == 600
    assert verdict.remarks == {}


def test_check_training_set_gives_one_reason_for_an_empty_set(joints):
    message = rejection(joints[:0])
    assert "No joint has both a reading and an accepted image." in message
    assert message.count("\n- ") == 1


def test_check_training_set_names_a_missing_grade(joints):
    message = rejection(joints[joints["grade"] != 5])
    assert "The training set has fewer than 20 joints of grade 5." in message
    assert message.count("\n- ") == 1
    assert "train 84 / 84 / 84 / 84 / 42 / 0" in message


def test_check_training_set_counts_a_grade_in_the_training_set_only(joints):
    message = rejection(joints, settings=SETTINGS.model_copy(update={"min_joints_of_grade": 43}))
    assert "grade 4" in message
    assert "grade 5" in message
    assert "grade 3" not in message


def test_check_training_set_rejects_the_joints_of_one_patient(joints):
    message = rejection(joints[joints["patient_id"] == "00007"])
    assert "The readings come from fewer than 50 patients." in message
    assert "The training, validation or test set has no patients." in message
    assert "The set has 10 joints of 1 patients." in message


def test_check_training_set_rejects_a_test_set_with_few_patients(joints):
    message = rejection(joints, min_test_patients=7)
    assert "The test set has fewer than 7 patients" in message
    assert message.count("\n- ") == 1


def test_check_training_set_keeps_unusual_readings_and_rejects_impossible_ones(joints):
    off = joints.assign(reading_percent=joints["reading_percent"] + np.where(joints.index < 7, 3.0, 0.0))
    assert check(off).remarks == {"training_set.percent_on_grid": 7}
    message = rejection(joints.assign(reading_percent=np.where(joints.index < 3, 120.0, joints["reading_percent"])))
    assert "The reading is outside 0 to 100 percent." in message
    assert "Joints affected: 3." in message


def test_check_training_set_rejects_a_patient_in_two_parts(joints):
    message = rejection(joints.assign(part=["test", *joints["part"][1:]]))
    assert "A patient is in several sets" in message
    assert "Joints affected: 10." in message


def test_check_training_set_rejects_an_image_with_two_readings(joints):
    twice = joints.assign(pixels_sha256=["a" * 64, *joints["pixels_sha256"][1:]])
    twice.loc[60, "pixels_sha256"] = "a" * 64
    message = rejection(twice)
    assert "The same image is in the set with different readings." in message
    assert "Joints affected: 2." in message
    # Copies with equal readings are harmless.
    alike = joints.assign(pixels_sha256=["a" * 64, "a" * 64, *joints["pixels_sha256"][2:]])
    assert check(alike).remarks == {}
