"""Apply a suite to a table: count the broken rules first, then find the rows that break them.

In Great Expectations row keys cost ten times as much as counts, and most batches break few rules; hence two passes.
Neither pass returns the value of a cell, so no value can reach storage, logs or Data Docs.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from expectations.rule import Rule, Suite
from scoring.errors import RuleNotComputed
from scoring.validation.quarantine import QUARANTINE_COLUMNS

if TYPE_CHECKING:
    from scoring.validation.docs import BatchDocs

logger = logging.getLogger(__name__)

# Its tracebacks of metric errors can contain values of cells.
logging.getLogger("great_expectations.validator.metrics_calculator").addFilter(lambda _: False)

COUNTS = {"result_format": "SUMMARY", "partial_unexpected_count": 0}
ROW_KEYS = {
    "result_format": "COMPLETE",
    "partial_unexpected_count": 0,
    "unexpected_index_column_names": ["row_key"],
    "exclude_unexpected_values": True,
}


class Breach(NamedTuple):
    """A broken rule about rows, and the keys of the rows that break it."""

    rule: Rule
    rows: list[Any]


@dataclass(frozen=True)
class Verdict:
    """The result of a suite.

    Attributes:
        dataset: Name of the dataset.
        accepted: Rows that break no critical rule, in their order and with all columns of the checked table.
        quarantine: One row per row and broken rule, in suite order, with QUARANTINE_COLUMNS. Rows with `kept` True are
            also in `accepted`. A row is counted under its first rule.
        counts: Number of excluded rows by rule; the sum is `n_rows - len(accepted)`.
        kept_counts: Number of rows that are listed but kept, by rule.
        n_rows: Number of checked rows.
        bad: Keys of the excluded rows that break a rule which counts towards the share of bad rows.
    """

    dataset: str
    accepted: pd.DataFrame
    quarantine: pd.DataFrame
    counts: dict[str, int]
    kept_counts: dict[str, int]
    n_rows: int
    bad: frozenset[Any]


def validate(frame: pd.DataFrame, suite: Suite, *, docs: "BatchDocs | None" = None) -> Verdict:
    """Divide a table into accepted and quarantined rows, by the suite's rules about rows.

    The table has the facts, `row_key`, `record_id` and the columns of every staged row. Errors are those of
    `row_breaches`.
    """
    breaches = row_breaches(frame, suite, docs=docs)
    quarantine = _quarantine(frame, breaches, suite.name)
    kept = quarantine["kept"].astype(bool)
    excluded = quarantine[~kept]
    bad = [breach.rows for breach in breaches if breach.rule.severity == "critical" and breach.rule.counts_as_bad]
    verdict = Verdict(
        dataset=suite.name,
        accepted=frame[~frame["row_key"].isin(excluded["row_key"])],
        quarantine=quarantine,
        counts=_counts(excluded.drop_duplicates("row_key")),
        kept_counts=_counts(quarantine[kept]),
        n_rows=len(frame),
        bad=frozenset().union(*bad),
    )
    logger.info(
        "suite_applied dataset=%s rows=%d accepted=%d quarantined=%s kept=%s",
        suite.name,
        verdict.n_rows,
        len(verdict.accepted),
        verdict.counts,
        verdict.kept_counts,
    )
    return verdict


def row_breaches(frame: pd.DataFrame, suite: Suite, *, docs: "BatchDocs | None" = None) -> list[Breach]:
    """Return the broken rules about rows, in suite order, with the keys of the rows that break them.

    Raises:
        ValueError: A `row_key` is missing or repeated.
        RuleNotComputed: A rule could not be computed.
    """
    if not frame["row_key"].is_unique or frame["row_key"].hasnans:
        raise ValueError(f"{suite.name}: row_key must be present and unique to identify rows.")
    broken = _broken(frame, suite, [rule for rule in suite.rules if not rule.check.of_table], docs)
    results = run_rules(frame, suite.name, broken, ROW_KEYS) if broken else {}
    return [
        Breach(rule, [key for entry in results[rule.name].result["unexpected_index_list"] for key in entry["row_key"]])
        for rule in broken
    ]


def broken_table_rules(frame: pd.DataFrame, suite: Suite, *, docs: "BatchDocs | None" = None) -> list[Rule]:
    """Return the broken rules about the table, in suite order.

    Call this before facts are added, which needs the columns that these rules require.

    Raises:
        RuleNotComputed: A rule could not be computed.
    """
    # Without its column, a rule about types fails with an error; the rule about existence reports the column.
    rules = [
        rule
        for rule in suite.rules
        if rule.check.of_table and ("type_list" not in rule.check.arguments or rule.check.column in frame)
    ]
    return _broken(frame, suite, rules, docs)


def _broken(frame: pd.DataFrame, suite: Suite, rules: Sequence[Rule], docs: "BatchDocs | None") -> list[Rule]:
    results = run_rules(frame, suite.name, rules, COUNTS)
    if docs is not None:
        docs.add(suite, results)
    return [rule for rule in rules if not results[rule.name].success]


def run_rules(
    frame: pd.DataFrame, name: str, rules: Sequence[Rule], result_format: dict[str, Any]
) -> dict[str, ExpectationValidationResult]:
    """Run some rules of the suite with this name.

    Returns:
        The results by name of the rule; Great Expectations returns them in an order of its own.

    Raises:
        RuleNotComputed: A rule could not be computed.
    """
    # A shared context would reuse the batch of an earlier table, and the default one creates a folder for docs.
    context = gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )
    asset = context.data_sources.add_pandas("staging").add_dataframe_asset(name)
    batch: BatchDefinition[Any] = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[rule.expectation() for rule in rules]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    # Great Expectations filters by position for some rules and by label for others.
    table = frame.reset_index(drop=True)
    found = definition.run(batch_parameters={"dataframe": table}, result_format=result_format).results
    results = {each.expectation_config.meta["rule"]: each for each in found if each.expectation_config}
    errors = {rule: _exception_type(each.exception_info) for rule, each in sorted(results.items())}
    failed = ", ".join(f"{rule} ({error})" for rule, error in errors.items() if error)
    if failed:
        raise RuleNotComputed(
            f"Rules of the suite {name} could not be computed: {failed}. The data may be good; no row was quarantined "
            "because of these rules. Check that the staged columns match the suite, then run the batch again."
        )
    return results


def _exception_type(info: dict[str, Any] | None) -> str:
    """Return the class of an error, or "" if there was none. The message is omitted because it may quote a cell."""
    # A failed metric is reported under its own name, any other error directly.
    entries = [] if not info else [info] if "raised_exception" in info else list(info.values())
    for each in entries:
        if each.get("raised_exception"):
            lines = (each.get("exception_traceback") or "").strip().splitlines()
            name = lines[-1].split(":")[0] if lines else ""
            # The last line of a message with several lines is not a class.
            return name.rsplit(".")[-1] if re.fullmatch(r"[\w.]+Error", name) else "error"
    return ""


def _quarantine(frame: pd.DataFrame, breaches: Sequence[Breach], dataset: str) -> pd.DataFrame:
    """Return one row per row and broken rule: in suite order, then by row key."""
    if not breaches:
        return pd.DataFrame({column: pd.Series(dtype="object") for column in QUARANTINE_COLUMNS})
    origin = frame[["row_key", "record_id", "source_file", "row_number", "batch_date"]]
    origin = origin.set_index("row_key", drop=False)
    parts = [
        origin.loc[sorted(rows)].assign(
            dataset=dataset,
            rule=rule.name,
            severity=rule.severity,
            kept=rule.severity != "critical",
            reason=rule.reason,
            remedy=rule.remedy,
        )
        for rule, rows in breaches
    ]
    return pd.concat(parts, ignore_index=True)[list(QUARANTINE_COLUMNS)]


def _counts(listed: pd.DataFrame) -> dict[str, int]:
    return {str(rule): int(n) for rule, n in listed["rule"].value_counts(sort=False).items()}
