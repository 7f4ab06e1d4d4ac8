"""Consultations: one row for each scoring of a radiograph (thesis, Table 2)."""

from collections.abc import Collection
from datetime import date, datetime, time

import great_expectations as gx
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_match_regex import ExpectColumnValuesToMatchRegex
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

from expectations.rule import (
    CRITICAL,
    WARNING,
    about,
    columns_are_numbers,
    columns_exist,
    id_is_short,
    patient_is_pseudonym,
)

REQUIRED = (
    "id_x",
    "patient_id",
    "date_x",
    "date_x_text",
    "date_y",
    "date_y_text",
    "sop_iuid",
    "body_part",
    "rau_score",
)

BODY_PARTS = ("HAND_LEFT", "HAND_RIGHT", "HAND_BOTH", "FOOT_LEFT", "FOOT_RIGHT", "FOOT_BOTH")

EARLIEST_VISIT = date(1900, 1, 1)
"""Röntgen described his rays in 1895; a radiograph older than this is a placeholder or a slip of the keyboard."""

RADIOGRAPH_ID = r"\A[0-9A-Za-z][0-9A-Za-z.\-]{0,63}\Z"
"""A DICOM UID (digits and dots, at most 64) or a registry's pseudonym of one. Nothing that could be part of a path."""


def consultations(batch_date: date, *, body_parts: Collection[str] = BODY_PARTS) -> gx.ExpectationSuite:
    """The suite for one night's consultations.

    Args:
        batch_date: The night; nothing in it can have happened later.
        body_parts: Body parts that the registry's export knows.
    """
    tonight = datetime.combine(batch_date, time.min)
    return gx.ExpectationSuite(
        name="consultations",
        expectations=[
            *columns_exist("consultations", REQUIRED),
            *columns_are_numbers("consultations", ["rau_score"]),
            # ---- which consultation, of whom
            ExpectColumnValuesToNotBeNull(
                column="id_x",
                severity=CRITICAL,
                description="A consultation has an id.",
                meta=about(
                    "consultations.id_present",
                    reason="The row has no id_x, so it cannot be told from other consultations.",
                    remedy="Fill id_x in the registry and export the row again.",
                ),
            ),
            id_is_short("consultations", "id_x"),
            ExpectColumnValuesToBeBetween(
                column="id_x_variants",
                max_value=1,
                severity=CRITICAL,
                description="An id stands for one consultation.",
                meta=about(
                    "consultations.id_unique",
                    reason="Several rows of this export have the same id_x but different contents.",
                    remedy="Find out in the registry which row is right, remove the others and export again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="exact_copy",
                value_set=[False],
                severity=CRITICAL,
                description="A consultation is delivered once.",
                meta=about(
                    "consultations.exact_copy",
                    reason="The row repeats an earlier row of this export word for word; the earlier one is used.",
                    remedy="Nothing is lost; have the export's query checked for a join that doubles rows.",
                    in_bad_share=False,
                ),
            ),
            ExpectColumnValuesToNotBeNull(
                column="patient_id",
                severity=CRITICAL,
                description="A consultation names its patient.",
                meta=about(
                    "consultations.patient_present",
                    reason="The row has no patient_id.",
                    remedy="Fill patient_id in the registry and export the row again.",
                ),
            ),
            id_is_short("consultations", "patient_id"),
            patient_is_pseudonym("consultations"),
            # ---- when
            ExpectColumnValuesToNotBeNull(
                column="date_x_text",
                severity=CRITICAL,
                description="A consultation has the date of its radiograph (date_x).",
                meta=about(
                    "consultations.date_x_present",
                    reason="The row has no date_x.",
                    remedy="Fill the date of the radiograph in the registry and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="date_x_readable",
                value_set=[True],
                severity=CRITICAL,
                description="date_x is written YYYY-MM-DD.",
                meta=about(
                    "consultations.date_x_readable",
                    reason="date_x is not a date written YYYY-MM-DD; other orders of day and month are not guessed.",
                    remedy="Set the export's date format to YYYY-MM-DD and export again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="date_x",
                max_value=tonight,
                severity=CRITICAL,
                description="The radiograph was not taken after the night it came in.",
                meta=about(
                    "consultations.date_x_not_future",
                    reason="date_x lies after the date of the batch.",
                    remedy="Correct the date of the radiograph in the registry and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="date_x",
                min_value=datetime.combine(EARLIEST_VISIT, time.min),
                severity=CRITICAL,
                description="The radiograph was taken in 1900 or later.",
                meta=about(
                    "consultations.date_x_not_ancient",
                    reason="date_x lies before 1900, which is a placeholder or a slip.",
                    remedy="Replace the placeholder by the date of the radiograph and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="date_y_readable",
                value_set=[True],
                severity=CRITICAL,
                description="date_y, if there is one, is written YYYY-MM-DD.",
                meta=about(
                    "consultations.date_y_readable",
                    reason="date_y is not a date written YYYY-MM-DD; other orders of day and month are not guessed.",
                    remedy="Set the export's date format to YYYY-MM-DD and export again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="date_y_before_date_x",
                value_set=[False],
                severity=CRITICAL,
                description="A radiograph is read on the day it was taken or later.",
                meta=about(
                    "consultations.date_y_not_before_date_x",
                    reason="date_y (the reading) lies before date_x (the radiograph).",
                    remedy="Check both dates in the registry, they may be swapped, and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="date_y",
                max_value=tonight,
                severity=CRITICAL,
                description="The radiograph was not read after the night it came in.",
                meta=about(
                    "consultations.date_y_not_future",
                    reason="date_y lies after the date of the batch.",
                    remedy="Correct the date of the reading in the registry and export the row again.",
                ),
            ),
            # ---- which radiograph
            ExpectColumnValuesToMatchRegex(
                column="sop_iuid",
                regex=RADIOGRAPH_ID,
                severity=CRITICAL,
                description="A radiograph's id has letters, digits, dots and hyphens only, at most 64.",
                meta=about(
                    "consultations.radiograph_id_well_formed",
                    reason="sop_iuid is not the id of a radiograph: it is too long or has characters no such id has.",
                    remedy="Correct sop_iuid in the registry and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="radiograph_patients",
                max_value=1,
                severity=CRITICAL,
                description="A radiograph shows one patient.",
                meta=about(
                    "consultations.radiograph_one_patient",
                    reason="The same radiograph (sop_iuid) is given to different patients, tonight or by an earlier night.",
                    remedy="Find out whose radiograph it is; correct the export, or the warehouse if that is wrong.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="radiograph_dates",
                max_value=1,
                severity=WARNING,
                description="A radiograph was taken on one day.",
                meta=about(
                    "consultations.radiograph_one_date",
                    reason="Rows of this export give the radiograph (sop_iuid) different dates (date_x); all are kept, under "
                    "the date that its latest reading gives.",
                    remedy="Correct date_x of the radiograph's consultations in the registry and export the rows again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="body_part",
                value_set=list(body_parts),
                severity=WARNING,
                description="The body part is one the registry's export knows.",
                meta=about(
                    "consultations.body_part_known",
                    reason="body_part is a name this job does not know; the row is kept.",
                    remedy="Correct the name, or have it added to the suite's list if it is right.",
                ),
            ),
            # ---- the reported Rau score
            ExpectColumnValuesToBeInSet(
                column="rau_score_readable",
                value_set=[True],
                severity=CRITICAL,
                description="The Rau score, if there is one, is a number.",
                meta=about(
                    "consultations.rau_readable",
                    reason="rau_score is not a number.",
                    remedy="Correct rau_score or leave it empty, and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="rau_score",
                min_value=0,
                max_value=190,
                severity=CRITICAL,
                description="A Rau score lies between 0 and 190.",
                meta=about(
                    "consultations.rau_in_range",
                    reason="rau_score lies outside 0 to 190.",
                    remedy="Correct rau_score or leave it empty, and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="rau_possible",
                value_set=[True],
                severity=WARNING,
                description="The Rau score is possible given the joints that were read.",
                meta=about(
                    "consultations.rau_possible",
                    reason="No readings of the remaining joints could give this rau_score with the joints in the row.",
                    remedy="Compare the score with the reader's form: one of them was mistyped; the row is kept.",
                ),
            ),
        ],
    )
