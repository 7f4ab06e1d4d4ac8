"""The words of a rule that Great Expectations itself has no field for."""

from collections.abc import Iterable
from typing import Any, Literal

from great_expectations.expectations.core.expect_column_to_exist import ExpectColumnToExist
from great_expectations.expectations.core.expect_column_value_lengths_to_be_between import (
    ExpectColumnValueLengthsToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_be_in_type_list import (
    ExpectColumnValuesToBeInTypeList,
)
from great_expectations.expectations.core.expect_column_values_to_not_match_regex import (
    ExpectColumnValuesToNotMatchRegex,
)
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity

CRITICAL, WARNING, INFO = FailureSeverity.CRITICAL, FailureSeverity.WARNING, FailureSeverity.INFO

MAX_ID_LENGTH = 64
"""The length of the longest DICOM UID. A registry's own ids are shorter, and an index cannot hold a page of text."""

NUMBER_TYPES = ["float64", "float32", "int64", "Float64", "Int64", "double[pyarrow]"]

NAME_OR_BIRTH_DATE = (
    r"[\s,;@]|\A[A-ZÄÖÜ][a-zäöüßéèàç]+(?:-[A-ZÄÖÜ][a-zäöüßéèàç]+)?\Z"
    r"|\A\d{4}-\d{1,2}-\d{1,2}\Z|\A\d{1,2}[./]\d{1,2}[./]\d{2,4}\Z"
)
"""Blanks, commas or an address; one word written like a name; a date. No pseudonym of a registry looks like these."""


def about(
    rule: str, *, reason: str, remedy: str, scope: Literal["row", "table"] = "row", in_bad_share: bool = True
) -> dict[str, Any]:
    """The `meta` of an expectation.

    Args:
        rule: Identifier "<dataset>.<what holds>"; it stands in the quarantine table and never changes its meaning.
        reason: One sentence about a row that breaks the rule. It holds no value of a patient.
        remedy: One sentence: what a data steward can do.
        scope: "row" sets rows apart, "table" stops the night.
        in_bad_share: False for rows that are excluded through no fault of their own (copies, rows of an excluded
            consultation): they do not count towards the share of bad rows that stops a night.
    """
    return {"rule": rule, "scope": scope, "reason": reason, "remedy": remedy, "in_bad_share": in_bad_share}


def id_is_short(dataset: str, column: str) -> Expectation:
    """The row rule that an id is no longer than an id can be."""
    return ExpectColumnValueLengthsToBeBetween(
        column=column,
        max_value=MAX_ID_LENGTH,
        severity=CRITICAL,
        description=f"{column} has at most {MAX_ID_LENGTH} characters.",
        meta=about(
            f"{dataset}.{column}_not_too_long",
            reason=f"{column} is longer than {MAX_ID_LENGTH} characters, which no id is.",
            remedy=f"Look for a shifted column or a missing quotation mark, correct {column} and export the row again.",
        ),
    )


def patient_is_pseudonym(dataset: str) -> Expectation:
    """The row rule that a patient is named by a registry's pseudonym and by nothing that tells who it is."""
    return ExpectColumnValuesToNotMatchRegex(
        column="patient_id",
        regex=NAME_OR_BIRTH_DATE,
        severity=CRITICAL,
        description="patient_id is a pseudonym: no name, no birth date, no address.",
        meta=about(
            f"{dataset}.patient_is_pseudonym",
            reason="patient_id looks like a name, a birth date or an address; the warehouse takes pseudonyms only.",
            remedy="Have the registry's pseudonym exported as patient_id, and remove the landed file.",
        ),
    )


def columns_exist(dataset: str, columns: Iterable[str]) -> list[Expectation]:
    """One table rule for each column that the other rules look at."""
    return [
        ExpectColumnToExist(
            column=column,
            severity=CRITICAL,
            description=f"The table has the column {column}.",
            meta=about(
                f"{dataset}.has_{column}",
                scope="table",
                reason=f"The column {column} is missing.",
                remedy=f"Ask the extractor's operator to deliver {dataset} with the column {column}.",
            ),
        )
        for column in columns
    ]


def columns_are_numbers(dataset: str, columns: Iterable[str]) -> list[Expectation]:
    """One table rule for each column that must hold numbers."""
    return [
        ExpectColumnValuesToBeInTypeList(
            column=column,
            type_list=NUMBER_TYPES,
            severity=CRITICAL,
            description=f"The column {column} holds numbers.",
            meta=about(
                f"{dataset}.{column}_is_number",
                scope="table",
                reason=f"The column {column} does not hold numbers.",
                remedy="Stage the night again; if it stays so, the staging schema and this suite disagree.",
            ),
        )
        for column in columns
    ]
