"""Disease activity: one row a patient and visit (thesis, Table 3)."""

from dataclasses import dataclass
from datetime import date, datetime, time

import great_expectations as gx
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.expectation import Expectation

from expectations.rule import (
    CRITICAL,
    WARNING,
    about,
    columns_are_numbers,
    columns_exist,
    id_is_short,
    patient_is_pseudonym,
)
from scoring.clinical import das28


@dataclass(frozen=True)
class Measure:
    """A measured column: its name for people, the largest possible value, and its unit. The smallest is 0."""

    column: str
    name: str
    maximum: float
    unit: str


MEASURES = (
    Measure("physician_global_disease_activity", "the physician's global assessment", 100, "mm"),
    Measure(
        "global_patient_estimate_disease_activity", "the patient's global assessment", das28.MAX_PATIENT_GLOBAL, "mm"
    ),
    Measure("das28bsr_score", "the four-variable DAS28-ESR", das28.MAX_DAS28, "points"),
    Measure("das283crp_score", "the three-variable DAS28-CRP", das28.MAX_DAS28, "points"),
    Measure("swollen_28", "the number of swollen joints", das28.N_JOINTS, "joints"),
    Measure("tender_28", "the number of tender joints", das28.N_JOINTS, "joints"),
    Measure("esr", "the erythrocyte sedimentation rate", das28.MAX_ESR, "mm/h"),
    Measure("crp", "the C-reactive protein", das28.MAX_CRP, "mg/L"),
)
COUNTS = ("swollen_28", "tender_28")

REQUIRED = ("patient_id", "date", "date_text", *(measure.column for measure in MEASURES))


def disease_activity(batch_date: date) -> gx.ExpectationSuite:
    """The suite for one night's disease activity. A row with one bad measure is set apart as a whole.

    Args:
        batch_date: The night; nothing in it can have happened later.
    """
    return gx.ExpectationSuite(
        name="disease_activity",
        expectations=[
            *columns_exist("disease_activity", REQUIRED),
            *columns_are_numbers("disease_activity", [measure.column for measure in MEASURES]),
            # ---- whose visit, when
            ExpectColumnValuesToNotBeNull(
                column="patient_id",
                severity=CRITICAL,
                description="A visit names its patient.",
                meta=about(
                    "disease_activity.patient_present",
                    reason="The row has no patient_id.",
                    remedy="Fill patient_id in the registry and export the row again.",
                ),
            ),
            id_is_short("disease_activity", "patient_id"),
            patient_is_pseudonym("disease_activity"),
            ExpectColumnValuesToNotBeNull(
                column="date_text",
                severity=CRITICAL,
                description="A visit has a date.",
                meta=about(
                    "disease_activity.date_present",
                    reason="The row has no date.",
                    remedy="Fill the date of the visit in the registry and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="date_readable",
                value_set=[True],
                severity=CRITICAL,
                description="The date is written YYYY-MM-DD.",
                meta=about(
                    "disease_activity.date_readable",
                    reason="The date is not written YYYY-MM-DD; other orders of day and month are not guessed.",
                    remedy="Set the export's date format to YYYY-MM-DD and export again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="date",
                max_value=datetime.combine(batch_date, time.min),
                severity=CRITICAL,
                description="The visit was not after the night it came in.",
                meta=about(
                    "disease_activity.date_not_future",
                    reason="The date of the visit lies after the date of the batch.",
                    remedy="Correct the date of the visit in the registry and export the row again.",
                ),
            ),
            ExpectColumnValuesToBeBetween(
                column="visit_variants",
                max_value=1,
                severity=CRITICAL,
                description="A patient has one row a day.",
                meta=about(
                    "disease_activity.visit_unique",
                    reason="Several rows of this export have the same patient and date but different measures.",
                    remedy="Find out in the registry which row is right, remove the others and export again.",
                ),
            ),
            ExpectColumnValuesToBeInSet(
                column="exact_copy",
                value_set=[False],
                severity=CRITICAL,
                description="A visit is delivered once.",
                meta=about(
                    "disease_activity.exact_copy",
                    reason="The row repeats an earlier row of this export word for word; the earlier one is used.",
                    remedy="Nothing is lost; have the export's query checked for a join that doubles rows.",
                    in_bad_share=False,
                ),
            ),
            # ---- what was measured
            *(rule for measure in MEASURES for rule in _measure_rules(measure)),
            *(_count_is_whole(column) for column in COUNTS),
            _recomputed("das28_esr_agrees", "das28bsr_score", "the four-variable DAS28-ESR"),
            _recomputed("das28_crp_agrees", "das283crp_score", "the three-variable DAS28-CRP"),
        ],
    )


def _measure_rules(measure: Measure) -> tuple[Expectation, Expectation]:
    value_range = f"0 to {measure.maximum:g} {measure.unit}"
    return (
        ExpectColumnValuesToBeInSet(
            column=f"{measure.column}_readable",
            value_set=[True],
            severity=CRITICAL,
            description=f"{_capital(measure.name)}, if there is one, is a number.",
            meta=about(
                f"disease_activity.{measure.column}_readable",
                reason=f"{measure.column} ({measure.name}) is not a number.",
                remedy="Correct it, or leave the cell empty if it was not measured, and export the row again.",
            ),
        ),
        ExpectColumnValuesToBeBetween(
            column=measure.column,
            min_value=0,
            max_value=measure.maximum,
            severity=CRITICAL,
            description=f"{_capital(measure.name)} lies within {value_range}.",
            meta=about(
                f"disease_activity.{measure.column}_in_range",
                reason=f"{measure.column} ({measure.name}) lies outside {value_range}.",
                remedy="Correct the value or its unit, or leave the cell empty, and export the row again.",
            ),
        ),
    )


def _count_is_whole(column: str) -> Expectation:
    return ExpectColumnValuesToBeInSet(
        column=f"{column}_whole",
        value_set=[True],
        severity=CRITICAL,
        description=f"{column} counts joints, so it is a whole number.",
        meta=about(
            f"disease_activity.{column}_whole",
            reason=f"{column} is not a whole number of joints.",
            remedy="Correct the count, or leave the cell empty, and export the row again.",
        ),
    )


def _recomputed(fact: str, column: str, name: str) -> Expectation:
    return ExpectColumnValuesToBeInSet(
        column=fact,
        value_set=[True],
        severity=WARNING,
        description=f"{_capital(name)} is what its components give.",
        meta=about(
            f"disease_activity.{fact}",
            reason=f"{column} ({name}) differs by more than 0.1 from what its components in the row give.",
            remedy="Check the components, the unit of CRP (mg/L) and which form the registry exports (this column is "
            f"{name}); the row is kept.",
        ),
    )


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
