"""Readings: the percent eroded that a reader gave one joint, in long form (one row a joint)."""

from collections.abc import Collection

import great_expectations as gx
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet

from expectations.rule import CRITICAL, INFO, about, columns_are_numbers, columns_exist

REQUIRED = ("id_x", "joint", "erosion_text", "reading_percent")


def readings(joints: Collection[str]) -> gx.ExpectationSuite:
    """The suite for one night's readings.

    Args:
        joints: The registry's column names of joints.
    """
    return gx.ExpectationSuite(
        name="readings",
        expectations=[
            *columns_exist("readings", REQUIRED),
            *columns_are_numbers("readings", ["reading_percent"]),
            ExpectColumnValuesToBeInSet(
                column="parent_accepted",
                value_set=[True],
                severity=CRITICAL,
                description="The consultation that a reading belongs to was accepted.",
                meta=about(
                    "readings.consultation_accepted",
                    reason="Its consultation was quarantined.",
                    remedy="Correct the consultation; its readings come in with it.",
                    in_bad_share=False,
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="joint",
                value_set=list(joints),
                severity=CRITICAL,
                description="The joint is in the catalogue.",
                meta=about(
                    "readings.joint_known",
                    reason="The column is not a joint of the catalogue.",
                    remedy="Name the column as the catalogue does, such as hand_left_1, and export again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="erosion_readable",
                value_set=[True],
                severity=CRITICAL,
                description="The percent eroded is a number.",
                meta=about(
                    "readings.percent_readable",
                    reason="The percent eroded is not a number.",
                    remedy="Correct it, or leave the cell empty if the joint was not read, and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="reading_percent",
                min_value=0,
                max_value=100,
                severity=CRITICAL,
                description="The percent eroded lies between 0 and 100.",
                meta=about(
                    "readings.percent_in_range",
                    reason="The percent eroded lies outside 0 to 100.",
                    remedy="Correct it, or leave the cell empty if the joint was not read, and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="on_grid",
                value_set=[True],
                severity=INFO,
                description="Readers score in steps of 5 %.",
                meta=about(
                    "readings.percent_on_grid",
                    reason="The percent eroded is not a multiple of 5; the reading is kept.",
                    remedy="Nothing needs doing unless it is frequent: then a reader or an import differs.",
                ),
            ),
        ],
    )
