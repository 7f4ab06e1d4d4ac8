"""Training set: the read joints of a snapshot that a network is to learn from, be chosen by and be judged on.

A breach that is critical stops the training, whether it is about the set or about one joint: a network that was trained
on a wrong set looks like any other.
"""

import great_expectations as gx
from great_expectations.expectations.core.expect_column_distinct_values_to_contain_set import (
    ExpectColumnDistinctValuesToContainSet,
)
from great_expectations.expectations.core.expect_column_unique_value_count_to_be_between import (
    ExpectColumnUniqueValueCountToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import Column

from expectations.rule import CRITICAL, WARNING, about, columns_are_numbers, columns_exist

REQUIRED = ("pixels_sha256", "joint", "patient_id", "part", "reading_percent", "grade")

PARTS = ("train", "validation", "test")
GRADES = range(6)


def training_set(*, min_joints_of_grade: int, min_patients: int, min_test_patients: int) -> gx.ExpectationSuite:
    """The suite for one snapshot.

    Args:
        min_joints_of_grade: Joints of each Ratingen grade that a network needs to learn from.
        min_patients: Patients of the whole set.
        min_test_patients: Patients of the test set; with fewer no challenger could be shown to be better.
    """
    return gx.ExpectationSuite(
        name="training_set",
        expectations=[
            *columns_exist("training_set", REQUIRED),
            *columns_are_numbers("training_set", ["reading_percent"]),
            # ---- is there enough
            ExpectTableRowCountToBeBetween(
                min_value=1,
                severity=CRITICAL,
                description="There are readings of joints whose image was accepted.",
                meta=about(
                    "training_set.has_readings",
                    scope="table",
                    reason="Nobody has read any joint of which there is an image.",
                    remedy="Load nights that hold readings and images of the same radiographs, or choose a later cut-off.",
                ),
            ),
            ExpectColumnUniqueValueCountToBeBetween(
                column="patient_id",
                min_value=min_patients,
                severity=CRITICAL,
                description=f"There are readings of {min_patients} patients or more.",
                meta=about(
                    "training_set.enough_patients",
                    scope="table",
                    reason=f"The readings are of fewer than {min_patients} patients.",
                    remedy="Have radiographs of more patients read; SCORING_MIN_TRAINING_PATIENTS sets the number.",
                ),
            ),
            ExpectColumnDistinctValuesToContainSet(
                column="part",
                value_set=list(PARTS),
                severity=CRITICAL,
                description="There are patients to learn from, to choose by and to test on.",
                meta=about(
                    "training_set.has_every_part",
                    scope="table",
                    reason="There is no patient to learn from, to choose by or to test on.",
                    remedy="Have radiographs of more patients read: which part a patient belongs to is fixed.",
                ),
            ),
            ExpectColumnUniqueValueCountToBeBetween(
                column="patient_id",
                min_value=min_test_patients,
                row_condition=Column("part") == "test",
                severity=CRITICAL,
                description=f"There are {min_test_patients} patients or more to test on.",
                meta=about(
                    "training_set.enough_test_patients",
                    scope="table",
                    reason=f"There are fewer than {min_test_patients} patients to test on, one in ten of all.",
                    remedy="Have radiographs of more patients read: no model could be shown to be better on so few.",
                ),
            ),
            *(_enough_of_grade(grade, min_joints_of_grade) for grade in GRADES),
            # ---- is it sound
            ExpectColumnValuesToBeBetween(
                column="reading_percent",
                min_value=0,
                max_value=100,
                severity=CRITICAL,
                description="The percent eroded lies between 0 and 100.",
                meta=about(
                    "training_set.percent_in_range",
                    reason="The percent eroded lies outside 0 to 100.",
                    remedy="The warehouse refuses such readings: find out how this one came in before training on it.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="on_grid",
                value_set=[True],
                severity=WARNING,
                description="Readers score in steps of 5 %.",
                meta=about(
                    "training_set.percent_on_grid",
                    reason="The percent eroded is not a multiple of 5; the joint is kept.",
                    remedy="Nothing needs doing unless it is frequent: then a reader or an import differs.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="parts_of_patient",
                max_value=1,
                severity=CRITICAL,
                description="All joints of a patient are in one part: learnt from, chosen by or tested on.",
                meta=about(
                    "training_set.patient_in_one_part",
                    reason="Its patient is in several parts, so a network would be judged on whom it has seen.",
                    remedy="Do not train on this set: the split by patient is broken, tell its maintainer.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="readings_of_image",
                max_value=1,
                severity=CRITICAL,
                description="An image has one reading in the set.",
                meta=about(
                    "training_set.image_read_once",
                    reason="The very same image stands in the set with different readings.",
                    remedy="Find out which joint of which radiograph it shows, and have the other file extracted again.",
                ),
            ),
        ],
    )


def _enough_of_grade(grade: int, at_least: int) -> Expectation:
    return ExpectTableRowCountToBeBetween(
        min_value=at_least,
        row_condition=(Column("grade") == grade) & (Column("part") == "train"),
        severity=CRITICAL,
        description=f"There are {at_least} joints or more of grade {grade} to learn from.",
        meta=about(
            f"training_set.enough_of_grade_{grade}",
            scope="table",
            reason=f"There are fewer than {at_least} joints of grade {grade} to learn from.",
            remedy="Have more radiographs with such joints read; SCORING_MIN_JOINTS_OF_GRADE sets the number.",
        ),
    )
