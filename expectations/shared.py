"""Rules that several suites share."""

from collections.abc import Iterable

from expectations import check
from expectations.rule import Rule

MAX_ID_LENGTH = 64
"""The length of the longest DICOM UID. Registry ids are shorter, and longer text does not fit into an index."""

NAME_OR_BIRTH_DATE = (
    r"[\s,;@]|\A[A-ZÄÖÜ][a-zäöüßéèàç]+(?:-[A-ZÄÖÜ][a-zäöüßéèàç]+)?\Z"
    r"|\A\d{4}-\d{1,2}-\d{1,2}\Z|\A\d{1,2}[./]\d{1,2}[./]\d{2,4}\Z"
)
"""Blanks, commas or an address; a word in the form of a name; a date. No registry pseudonym has one of these forms."""


def columns(dataset: str, required: Iterable[str], numbers: Iterable[str] = ()) -> list[Rule]:
    """Require the columns that the other rules use, and a numeric type of some of them."""
    exist = (
        Rule(
            f"{dataset}.has_{column}",
            check.exists(column),
            reason=f"The column {column} is missing.",
            remedy=f"Ask the operator of the extractor to deliver {dataset} with the column {column}.",
        )
        for column in required
    )
    are_numbers = (
        Rule(
            f"{dataset}.{column}_is_number",
            check.holds_numbers(column),
            reason=f"The column {column} does not hold numbers.",
            remedy="Run the batch again; if the problem remains, report that staging schema and suite disagree.",
        )
        for column in numbers
    )
    return [*exist, *are_numbers]


def id_is_short(dataset: str, column: str) -> Rule:
    """Limit the length of an id."""
    return Rule(
        f"{dataset}.{column}_not_too_long",
        check.not_longer_than(column, MAX_ID_LENGTH),
        reason=f"{column} is longer than {MAX_ID_LENGTH} characters, the longest length of an id.",
        remedy=f"Check for a shifted column or a missing quotation mark, correct {column} and export the row again.",
    )


def patient(dataset: str) -> tuple[Rule, ...]:
    """Require a patient_id that identifies no person."""
    return (
        Rule(
            f"{dataset}.patient_present",
            check.present("patient_id"),
            reason="The row has no patient_id.",
            remedy="Enter patient_id in the registry and export the row again.",
        ),
        id_is_short(dataset, "patient_id"),
        Rule(
            f"{dataset}.patient_is_pseudonym",
            check.does_not_match("patient_id", NAME_OR_BIRTH_DATE),
            reason="patient_id looks like a name, a birth date or an address; the warehouse accepts only pseudonyms.",
            remedy="Export the registry's pseudonym as patient_id, and delete the delivered file.",
        ),
    )


def no_copy(dataset: str) -> Rule:
    """Exclude a row that repeats an earlier row."""
    return Rule(
        f"{dataset}.exact_copy",
        check.is_false("exact_copy"),
        reason="The row is an exact copy of an earlier row of this batch; the earlier row is used.",
        remedy="Check the export query for a join that duplicates rows; no data is lost.",
        counts_as_bad=False,
    )


def date_readable(dataset: str, column: str) -> Rule:
    """Reject a date in another format."""
    return Rule(
        f"{dataset}.{column}_readable",
        check.is_true(f"{column}_readable"),
        reason=f"{column} is not in the format YYYY-MM-DD; other formats are not interpreted.",
        remedy="Set the date format of the export to YYYY-MM-DD and export again.",
    )
