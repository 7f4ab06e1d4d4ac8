"""What nothing should be trained on, and that the message has the numbers."""

import numpy as np
import pandas as pd
import pytest

from scoring.errors import BadInput
from scoring.validation.training_set import check_training_set

NEEDED = {"min_joints_of_grade": 20, "min_patients": 50, "min_test_patients": 5}


@pytest.fixture(scope="module")
def joints():
    """600 joints of 60 patients: 42 to learn from, 12 to choose by, 6 to test on; every grade equally often."""
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


def complaint(joints, **needed):
    with pytest.raises(BadInput) as refused:
        check_training_set(joints, **NEEDED | needed)
    return str(refused.value)


def test_a_good_set_passes_with_its_numbers(joints):
    verdict = check_training_set(joints, **NEEDED)
    assert verdict.joints["train"] == [84, 84, 84, 84, 42, 42]
    assert sum(map(sum, verdict.joints.values())) == 600
    assert verdict.remarks == {}


def test_no_readings_at_all(joints):
    said = complaint(joints[:0])
    assert "Nobody has read any joint of which there is an image." in said
    assert said.count("\n- ") == 1


def test_an_absent_grade_is_named(joints):
    said = complaint(joints[joints["grade"] != 5])
    assert "fewer than 20 joints of grade 5 to learn from" in said
    assert said.count("\n- ") == 1
    assert "train 84 / 84 / 84 / 84 / 42 / 0" in said


def test_too_few_of_a_grade_to_learn_from_though_there_are_some_to_test_on(joints):
    said = complaint(joints, min_joints_of_grade=43)
    assert "grade 4" in said
    assert "grade 5" in said
    assert "grade 3" not in said


def test_one_patient(joints):
    said = complaint(joints[joints["patient_id"] == "00007"])
    assert "The readings are of fewer than 50 patients." in said
    assert "no patient to learn from, to choose by or to test on" in said
    assert "10 joints of 1 patients" in said


def test_too_few_patients_to_test_on(joints):
    said = complaint(joints, min_test_patients=7)
    assert "There are fewer than 7 patients to test on" in said
    assert said.count("\n- ") == 1


def test_labels_outside_the_grid_are_kept_and_counted_and_outside_the_range_are_not(joints):
    off = joints.assign(reading_percent=joints["reading_percent"] + np.where(joints.index < 7, 3.0, 0.0))
    assert check_training_set(off, **NEEDED).remarks == {"training_set.percent_on_grid": 7}
    outside = joints.assign(reading_percent=np.where(joints.index < 3, 120.0, joints["reading_percent"]))
    assert "The percent eroded lies outside 0 to 100. (3 joints)" in complaint(outside)


def test_a_patient_on_two_sides(joints):
    crossing = joints.assign(part=["test", *joints["part"][1:]])
    assert "so a network would be judged on whom it has seen. (10 joints)" in complaint(crossing)


def test_an_image_with_two_readings(joints):
    twice = joints.assign(pixels_sha256=["a" * 64, *joints["pixels_sha256"][1:]])
    twice.loc[60, "pixels_sha256"] = "a" * 64
    assert "The very same image stands in the set with different readings. (2 joints)" in complaint(twice)
    # Copies that were read alike teach nothing wrong.
    alike = joints.assign(pixels_sha256=["a" * 64, "a" * 64, *joints["pixels_sha256"][2:]])
    assert check_training_set(alike, **NEEDED).remarks == {}
