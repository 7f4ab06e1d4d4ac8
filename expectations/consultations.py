"""Consultations: one row per reading of a radiograph (thesis, Table 2)."""

from datetime import date

from expectations import check, shared
from expectations.rule import Rule, Suite
from scoring.clinical.rau import MAX_SCORE
from scoring.contract import CONSULTATION_COLUMNS

BODY_PARTS = ("HAND_LEFT", "HAND_RIGHT", "HAND_BOTH", "FOOT_LEFT", "FOOT_RIGHT", "FOOT_BOTH")

EARLIEST_VISIT = date(1900, 1, 1)
"""Röntgen discovered X-rays in 1895; an earlier date than this is a placeholder or a typing error."""

RADIOGRAPH_ID = r"\A[0-9A-Za-z][0-9A-Za-z.\-]{0,63}\Z"
"""A DICOM UID (digits and dots, at most 64 characters) or its pseudonym. Characters of file paths are excluded."""

# The joints (in percent) are checked as readings.
_DELIVERED = [column.name for column in CONSULTATION_COLUMNS if column.unit != "percent"]

IDENTITY = (
    Rule(
        "consultations.id_present",
        check.present("id_x"),
        reason="The row has no id_x, so the consultation cannot be identified.",
        remedy="Enter id_x in the registry and export the row again.",
    ),
    shared.id_is_short("consultations", "id_x"),
    Rule(
        "consultations.id_unique",
        check.at_most("id_x_variants", 1),
        reason="Several rows of this batch have the same id_x but different contents.",
        remedy="Find the correct row in the registry, remove the others and export again.",
    ),
    shared.no_copy("consultations"),
    *shared.patient("consultations"),
)

RADIOGRAPH = (
    Rule(
        "consultations.radiograph_id_well_formed",
        check.matches("sop_iuid", RADIOGRAPH_ID),
        reason="sop_iuid has more than 64 characters, or characters other than letters, digits, dots and hyphens.",
        remedy="Correct sop_iuid in the registry and export the row again.",
    ),
    Rule(
        "consultations.radiograph_one_patient",
        check.at_most("radiograph_patients", 1),
        reason="The radiograph (sop_iuid) is assigned to different patients, in this run or in the warehouse.",
        remedy="Find out whose radiograph it is, then correct the export, or the warehouse if that is wrong.",
    ),
    Rule(
        "consultations.radiograph_one_date",
        check.at_most("radiograph_dates", 1),
        reason="Rows of this batch have different dates (date_x) for the radiograph (sop_iuid); all rows are "
        "kept, with the date of the latest reading.",
        remedy="Correct date_x of this radiograph in the registry and export its rows again.",
        severity="warning",
    ),
    Rule(
        "consultations.body_part_known",
        check.one_of("body_part", BODY_PARTS),
        reason=f"body_part is none of {', '.join(BODY_PARTS)}; the row is kept.",
        remedy="Correct body_part in the registry, or report a correct value that the list lacks.",
        severity="warning",
    ),
)

RAU_SCORE = (
    Rule(
        "consultations.rau_readable",
        check.is_true("rau_score_readable"),
        reason="rau_score is not a number.",
        remedy="Correct rau_score or leave it empty, and export the row again.",
    ),
    Rule(
        "consultations.rau_in_range",
        check.between("rau_score", 0, MAX_SCORE),
        reason=f"rau_score is outside 0 to {MAX_SCORE}.",
        remedy="Correct rau_score or leave it empty, and export the row again.",
    ),
    Rule(
        "consultations.rau_possible",
        check.is_true("rau_possible"),
        reason="rau_score is impossible with the joint readings in the row, whatever the grades of the other joints.",
        remedy="Compare both with the reader's form and correct the error; the row is kept.",
        severity="warning",
    ),
)


def consultations_suite(batch_date: date) -> Suite:
    """Return the rules for the consultations of a batch; dates after the batch date are invalid."""
    rules = (
        *shared.columns("consultations", [*_DELIVERED, "date_x_text", "date_y_text"], ["rau_score"]),
        *IDENTITY,
        *_dates(batch_date),
        *RADIOGRAPH,
        *RAU_SCORE,
    )
    return Suite("consultations", rules)


def _dates(batch_date: date) -> tuple[Rule, ...]:
    return (
        Rule(
            "consultations.date_x_present",
            check.present("date_x_text"),
            reason="The row has no date_x.",
            remedy="Enter the date of the radiograph in the registry and export the row again.",
        ),
        shared.date_readable("consultations", "date_x"),
        Rule(
            "consultations.date_x_not_future",
            check.not_after("date_x", batch_date),
            reason="date_x is after the batch date.",
            remedy="Correct the date of the radiograph in the registry and export the row again.",
        ),
        Rule(
            "consultations.date_x_not_ancient",
            check.not_before("date_x", EARLIEST_VISIT),
            reason="date_x is before 1900, so it is a placeholder or a typing error.",
            remedy="Enter the true date of the radiograph in the registry and export the row again.",
        ),
        shared.date_readable("consultations", "date_y"),
        Rule(
            "consultations.date_y_not_before_date_x",
            check.is_false("date_y_before_date_x"),
            reason="date_y (the reading) is before date_x (the radiograph).",
            remedy="Check both dates in the registry, which may be swapped, and export the row again.",
        ),
        Rule(
            "consultations.date_y_not_future",
            check.not_after("date_y", batch_date),
            reason="date_y is after the batch date.",
            remedy="Correct the date of the reading in the registry and export the row again.",
        ),
    )
