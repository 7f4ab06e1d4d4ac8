"""Decide from row counts whether every received row of a batch is accounted for. Pure functions.

`analyst.run_reconciliation` is the one definition of reconciled row counts (received = the sum of all outcomes). This
module compares it with what was counted independently: the staged files and the warehouse.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DATASETS = ("consultations", "readings", "disease_activity", "images")


@dataclass(frozen=True)
class RowCounts:
    """Row counts of one dataset in one run.

    Attributes:
        received: Rows (images: files) that arrived.
        unaccounted_for: Received rows without an outcome; below 0 if rows have two.
    """

    received: int
    unaccounted_for: int


def count_lines(verdict: Mapping[str, Any], outcomes: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """Return the row counts of one dataset as lines of `scoring.run_count`.

    Args:
        verdict: `received`, and `quarantined` as numbers of rows by the rule they broke.
        outcomes: Numbers of accepted rows by outcome.

    Returns:
        (outcome, n, rule); the rule is empty unless the rows were quarantined.
    """
    return [
        ("received", verdict["received"], ""),
        *((outcome, n, "") for outcome, n in outcomes.items()),
        *(("quarantined", n, rule) for rule, n in verdict["quarantined"].items()),
    ]


def step_discrepancies(failures: Mapping[str, str], unfinished: Iterable[str]) -> list[str]:
    """List failed and unfinished steps as sentences; if any step failed, only those.

    Args:
        failures: Messages of failed steps, by step.
        unfinished: Names of steps without a result.
    """
    if failures:
        return [f"{name} failed: {message}" for name, message in failures.items()]
    return [f"step {name} did not finish" for name in unfinished]


def batch_discrepancies(
    counts: Mapping[str, RowCounts],
    staged: Mapping[str, int],
    n_unpredicted: int,
    failures: Mapping[str, str] | None = None,
    unfinished: Iterable[str] = (),
) -> list[str]:
    """List every reason why a batch may not succeed, as sentences; none if its row counts reconcile.

    The publishing steps wrote `counts`. `staged` and `n_unpredicted` are counted independently, so a step that loses
    rows and counts only those it kept is detected.

    Args:
        counts: Row counts of the run, by dataset.
        staged: Numbers of rows in the staged files, by dataset.
        n_unpredicted: Number of accepted images without a prediction of the run's model in the warehouse.
        failures: Messages of failed steps, by step. If there are any, they are the only discrepancies: missing row
            counts are a consequence.
        unfinished: Names of steps without a result.
    """
    found = step_discrepancies(failures or {}, unfinished)
    if failures:
        return found
    for dataset in DATASETS:
        if dataset not in counts:
            found.append(f"{dataset}: nothing was published")
            continue
        received, missing = counts[dataset].received, counts[dataset].unaccounted_for
        if missing:
            found.append(f"{dataset}: {received} rows received but {received - missing} accounted for")
        if staged.get(dataset) != received:
            found.append(f"{dataset}: {staged.get(dataset, 0)} rows staged but {received} counted as received")
    if n_unpredicted:
        found.append(f"images: {n_unpredicted} accepted images have no prediction in the warehouse")
    return found
