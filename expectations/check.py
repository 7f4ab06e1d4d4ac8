"""The checks that a rule can make on a column or on the table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

NUMBER_TYPES = ("float64", "float32", "int64", "Float64", "Int64", "double[pyarrow]")


@dataclass(frozen=True)
class Check:
    """A condition on a column or on the table. The functions of this module create checks.

    Attributes:
        column: Column that is checked; empty for a check of the number of rows.
        condition: The condition, as the end of a sentence about the column.
        expectation: Class of `great_expectations.expectations`.
        arguments: Arguments of that class, apart from the column.
        where: Values of other columns; only rows with these values are checked.
        of_table: True if the check is about the table as a whole and not about single rows.
    """

    column: str
    condition: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    of_table: bool = False


def present(column: str) -> Check:
    """Require a value."""
    return Check(column, "is present", "ExpectColumnValuesToNotBeNull")


def is_true(column: str) -> Check:
    """Require that a fact about the row is true."""
    return Check(column, "is true", "ExpectColumnValuesToBeInSet", {"value_set": [True]})


def is_false(column: str) -> Check:
    """Require that a fact about the row is false."""
    return Check(column, "is false", "ExpectColumnValuesToBeInSet", {"value_set": [False]})


def one_of(column: str, values: Iterable[str]) -> Check:
    """Require one of these values."""
    return Check(column, "is a permitted value", "ExpectColumnValuesToBeInSet", {"value_set": list(values)})


def between(column: str, low: float, high: float) -> Check:
    """Require a number between two limits, both included."""
    return _limits(column, f"is between {low:g} and {high:g}", min_value=low, max_value=high)


def at_least(column: str, low: float) -> Check:
    """Require a number of this size or larger."""
    return _limits(column, f"is at least {low:g}", min_value=low)


def at_most(column: str, high: float) -> Check:
    """Require a number of this size or smaller."""
    return _limits(column, f"is at most {high:g}", max_value=high)


def not_before(column: str, day: date) -> Check:
    """Require this day or a later day."""
    return _limits(column, f"is not before {day}", min_value=datetime.combine(day, time.min))


def not_after(column: str, day: date) -> Check:
    """Require this day or an earlier day."""
    return _limits(column, f"is not after {day}", max_value=datetime.combine(day, time.min))


def _limits(column: str, condition: str, **limits: Any) -> Check:
    return Check(column, condition, "ExpectColumnValuesToBeBetween", limits)


def matches(column: str, pattern: str) -> Check:
    """Require text of the form of a regular expression."""
    return Check(column, "has a valid form", "ExpectColumnValuesToMatchRegex", {"regex": pattern})


def does_not_match(column: str, pattern: str) -> Check:
    """Reject text of the form of a regular expression."""
    return Check(column, "does not have a forbidden form", "ExpectColumnValuesToNotMatchRegex", {"regex": pattern})


def not_longer_than(column: str, n_characters: int) -> Check:
    """Limit the length of the text."""
    condition = f"has at most {n_characters} characters"
    return Check(column, condition, "ExpectColumnValueLengthsToBeBetween", {"max_value": n_characters})


def exists(column: str) -> Check:
    """Require the column."""
    return Check(column, "exists", "ExpectColumnToExist", of_table=True)


def holds_numbers(column: str) -> Check:
    """Require a numeric type of the column."""
    return Check(
        column, "holds numbers", "ExpectColumnValuesToBeInTypeList", {"type_list": list(NUMBER_TYPES)}, of_table=True
    )


def includes_all(column: str, values: Iterable[str]) -> Check:
    """Require that each of these values occurs."""
    arguments = {"value_set": list(values)}
    return Check(column, "includes all values", "ExpectColumnDistinctValuesToContainSet", arguments, of_table=True)


def distinct_values_at_least(column: str, n: int, **where: Any) -> Check:
    """Require a number of different values, in the rows with these values of other columns."""
    condition, arguments = f"has at least {n} different values{_in_rows(where)}", {"min_value": n}
    return Check(column, condition, "ExpectColumnUniqueValueCountToBeBetween", arguments, where, of_table=True)


def rows_at_least(n: int, **where: Any) -> Check:
    """Require a number of rows with these values."""
    condition, arguments = f"has at least {n} rows{_in_rows(where)}", {"min_value": n}
    return Check("", condition, "ExpectTableRowCountToBeBetween", arguments, where, of_table=True)


def _in_rows(where: Mapping[str, Any]) -> str:
    return " with " + " and ".join(f"{column} {value}" for column, value in where.items()) if where else ""
