"""Readings: the percentage of eroded joint surface that a reader entered, one row per joint."""

from expectations import check, shared
from expectations.rule import Rule, Suite
from scoring.clinical import joints

REQUIRED = ("id_x", "joint", "reading_percent_text", "reading_percent")


def readings_suite() -> Suite:
    """Return the rules for the readings of a batch."""
    rules = (
        *shared.columns("readings", REQUIRED, ["reading_percent"]),
        Rule(
            "readings.consultation_accepted",
            check.is_true("consultation_accepted"),
            reason="The consultation of this reading was quarantined.",
            remedy="Correct the consultation; its readings are then accepted with it.",
            counts_as_bad=False,
        ),
        Rule(
            "readings.joint_known",
            check.one_of("joint", joints.COLUMNS),
            reason="The column is not a joint of the landing contract.",
            remedy="Use a joint column of the contract, such as hand_left_1, and export again.",
        ),
        Rule(
            "readings.percent_readable",
            check.is_true("percent_readable"),
            reason="The percentage of eroded surface is not a number.",
            remedy="Correct it, or leave the cell empty if the joint was not read, and export the row again.",
        ),
        Rule(
            "readings.percent_in_range",
            check.between("reading_percent", 0, 100),
            reason="The percentage of eroded surface is outside 0 to 100.",
            remedy="Correct it, or leave the cell empty if the joint was not read, and export the row again.",
        ),
        Rule(
            "readings.percent_on_grid",
            check.is_true("on_grid"),
            reason="The percentage of eroded surface is not a multiple of 5; the reading is kept.",
            remedy="Ignore single cases; if there are many, check the reader's method and the import.",
            severity="info",
        ),
    )
    return Suite("readings", rules)
