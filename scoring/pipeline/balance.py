"""The books of a night. Pure: decides from counts whether every landed row is accounted for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DATASETS = ("consultations", "readings", "disease_activity", "images")

# What may become of a landed row. Every row has exactly one of these outcomes.
OUTCOMES = ("new", "updated", "unchanged", "superseded", "scored", "already_scored", "quarantined")


@dataclass(frozen=True)
class Book:
    """One dataset's account for one run: how many rows landed and what became of them."""

    dataset: str
    landed: int
    outcomes: Mapping[str, int]

    @property
    def accounted(self) -> int:
        """Rows whose outcome is known."""
        return sum(self.outcomes.values())

    @property
    def balanced(self) -> bool:
        """Whether every landed row has an outcome and no row has two."""
        return self.landed == self.accounted


def books(counts: Iterable[tuple[str, str, int]]) -> dict[str, Book]:
    """Sum a run's counters into one book for each dataset.

    Args:
        counts: (dataset, outcome, n) as kept in `scoring.run_count`; `landed` opens the book, and quarantined
            rows come once for each rule.

    Returns:
        Books by dataset. A dataset without any counter has no book.

    Raises:
        ValueError: If an outcome is unknown: a row would fall out of the sum.
    """
    landed: dict[str, int] = {}
    outcomes: dict[str, dict[str, int]] = {}
    for dataset, outcome, n in counts:
        if outcome == "landed":
            landed[dataset] = landed.get(dataset, 0) + n
        elif outcome in OUTCOMES:
            of_dataset = outcomes.setdefault(dataset, {})
            of_dataset[outcome] = of_dataset.get(outcome, 0) + n
        else:
            raise ValueError(f"unknown outcome {outcome!r} in the books of {dataset}")
    return {dataset: Book(dataset, landed.get(dataset, 0), outcomes.get(dataset, {})) for dataset in landed | outcomes}


def lines(verdict: Mapping[str, Any], outcomes: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """The lines of one dataset's book.

    Args:
        verdict: `landed`, and `quarantined` as rows by the rule they are booked under.
        outcomes: What became of the accepted rows.

    Returns:
        (outcome, n, rule); the rule is empty unless the rows were quarantined.
    """
    return [
        ("landed", verdict["landed"], ""),
        *((outcome, n, "") for outcome, n in outcomes.items()),
        *(("quarantined", n, rule) for rule, n in verdict["quarantined"].items()),
    ]


def complaints(
    ledger: Mapping[str, Book],
    staged: Mapping[str, int],
    unpredicted: int,
    failures: Mapping[str, str] | None = None,
    unfinished: Iterable[str] = (),
) -> list[str]:
    """Everything that keeps a night from being closed, as sentences; empty when the books balance.

    The publishing steps wrote the ledger; `staged` and `unpredicted` are counted again from the staged files and the
    warehouse, so that a step which loses rows and counts only what it kept is found out.

    Args:
        ledger: Books of the run.
        staged: Rows that landed, by dataset, counted in the staged files.
        unpredicted: Accepted images for which the warehouse holds no prediction of the run's model.
        failures: Messages of steps that failed, by step.
        unfinished: Names of steps that left no result.

    Returns:
        Sentences for the operator. When a step failed, its message alone: that its books are missing then is no news.
    """
    if failures:
        return [f"{step} failed: {message}" for step, message in failures.items()]
    found = [f"step {name} did not finish" for name in unfinished]
    for dataset in DATASETS:
        book = ledger.get(dataset)
        if book is None:
            found.append(f"{dataset}: nothing was published")
            continue
        if not book.balanced:
            found.append(f"{dataset}: {book.landed} landed but {book.accounted} accounted for")
        if staged.get(dataset) != book.landed:
            found.append(f"{dataset}: {staged.get(dataset, 0)} rows were staged but {book.landed} booked as landed")
    if unpredicted:
        found.append(f"images: {unpredicted} accepted images have no prediction in the warehouse")
    return found
