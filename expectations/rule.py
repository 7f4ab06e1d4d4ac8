"""Rules and suites, and the translation of a rule to Great Expectations."""

from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Literal

from expectations.check import Check

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True)
class Rule:
    """A row of a suite's table.

    Attributes:
        name: Identifier "<dataset>.<condition>", stored in the quarantine; its meaning never changes.
        check: The check.
        reason: The problem, in one sentence without any value of a patient.
        remedy: Instruction for the data steward.
        severity: "critical" quarantines a row or stops the batch; "warning" and "info" keep the row and list it.
        counts_as_bad: False for rows that are excluded without a fault of their own, such as copies; they do not count
            towards the share of bad rows that stops a batch.
    """

    name: str
    check: Check
    reason: str
    remedy: str
    severity: Severity = "critical"
    counts_as_bad: bool = True

    def expectation(self) -> "Expectation":
        """Translate the rule to Great Expectations, an import of seconds that reading the rules does not need."""
        import great_expectations.expectations as gxe
        from great_expectations.expectations.row_conditions import Column

        arguments = dict(self.check.arguments)
        if self.check.column:
            arguments["column"] = self.check.column
        if self.check.where:
            conditions = (Column(column) == value for column, value in self.check.where.items())
            arguments["row_condition"] = reduce(and_, conditions)
        expectation: Expectation = getattr(gxe, self.check.expectation)(
            **arguments,
            severity=self.severity,
            description=f"{self.check.column or 'The table'} {self.check.condition}. If not: {self.reason}",
            meta={"rule": self.name, "reason": self.reason, "remedy": self.remedy},
        )
        return expectation


@dataclass(frozen=True)
class Suite:
    """The rules of one dataset, in the order in which a row's broken rules are listed."""

    name: str
    rules: tuple[Rule, ...]
