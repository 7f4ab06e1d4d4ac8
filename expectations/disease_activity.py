"""Disease activity: one row per patient and visit (thesis, Table 3). An invalid value quarantines the whole row."""

from datetime import date

from expectations import check, shared
from expectations.rule import Rule, Suite
from scoring.contract import ACTIVITY_COLUMNS, MEASURES

DAS28 = (
    Rule(
        "disease_activity.das28_esr_agrees",
        check.is_true("das28_esr_agrees"),
        reason="das28bsr_score differs by more than 0.1 from the DAS28 computed from its components in the row.",
        remedy="Check the components, and the DAS28 form that the registry exports (required: four-variable "
        "DAS28-ESR); the row is kept.",
        severity="warning",
    ),
    Rule(
        "disease_activity.das28_crp_agrees",
        check.is_true("das28_crp_agrees"),
        reason="das283crp_score differs by more than 0.1 from the DAS28 computed from its components in the row.",
        remedy="Check the components, the unit of CRP (mg/L), and the DAS28 form that the registry exports (required: "
        "three-variable DAS28-CRP); the row is kept.",
        severity="warning",
    ),
)


def disease_activity_suite(batch_date: date) -> Suite:
    """Return the rules for the disease activity of a batch; dates after the batch date are invalid."""
    rules = (
        *shared.columns("disease_activity", [*(column.name for column in ACTIVITY_COLUMNS), "date_text"], MEASURES),
        *_visit(batch_date),
        *(
            rule
            for column in ACTIVITY_COLUMNS
            if column.maximum is not None
            for rule in _number(column.name, column.maximum, column.unit)
        ),
        *(_whole_number(column.name) for column in ACTIVITY_COLUMNS if column.unit == "joints"),
        *DAS28,
    )
    return Suite("disease_activity", rules)


def _visit(batch_date: date) -> tuple[Rule, ...]:
    return (
        *shared.patient("disease_activity"),
        Rule(
            "disease_activity.date_present",
            check.present("date_text"),
            reason="The row has no date.",
            remedy="Enter the date of the visit in the registry and export the row again.",
        ),
        shared.date_readable("disease_activity", "date"),
        Rule(
            "disease_activity.date_not_future",
            check.not_after("date", batch_date),
            reason="The date of the visit is after the batch date.",
            remedy="Correct the date of the visit in the registry and export the row again.",
        ),
        Rule(
            "disease_activity.visit_unique",
            check.at_most("visit_variants", 1),
            reason="Several rows of this batch have the same patient_id and date but different values.",
            remedy="Find the correct row in the registry, remove the others and export again.",
        ),
        shared.no_copy("disease_activity"),
    )


def _number(column: str, maximum: float, unit: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f"disease_activity.{column}_readable",
            check.is_true(f"{column}_readable"),
            reason=f"{column} ({unit}) is not a number.",
            remedy="Correct it, or leave the cell empty if it was not measured, and export the row again.",
        ),
        Rule(
            f"disease_activity.{column}_in_range",
            check.between(column, 0, maximum),
            reason=f"{column} is outside 0 to {maximum:g} {unit}.",
            remedy="Correct the value or its unit, or leave the cell empty, and export the row again.",
        ),
    )


def _whole_number(column: str) -> Rule:
    return Rule(
        f"disease_activity.{column}_whole",
        check.is_true(f"{column}_whole"),
        reason=f"{column} is not a whole number of joints.",
        remedy="Correct the count, or leave the cell empty, and export the row again.",
    )
