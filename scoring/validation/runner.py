"""Runs one suite over one frame: first every rule for its counts, then the broken row rules for their row keys.

Asking Great Expectations for row keys costs an order of magnitude more than asking for counts, and most nights break
few rules; hence two passes. Neither returns a value of a cell, so that nothing stored or rendered from a result can.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.expectation import Expectation

from scoring.errors import RuleNotComputed
from scoring.validation.quarantine import QUARANTINE_COLUMNS

logger = logging.getLogger(__name__)

COUNTS = {"result_format": "SUMMARY", "partial_unexpected_count": 0}


class DocsSink(Protocol):
    """Where the results of a suite go, to be rendered later."""

    def add(self, suite: gx.ExpectationSuite, result: ExpectationSuiteValidationResult) -> None:
        """Take the counts of one run of a suite."""


@dataclass(frozen=True)
class Breach:
    """A rule that does not hold.

    Attributes:
        rule: Identifier of the rule.
        severity: critical, warning or info.
        scope: row or table.
        reason: What is wrong, in one sentence.
        remedy: What can be done, in one sentence.
        in_bad_share: Whether rows that break it count as bad.
        rows: Keys of the rows that break it; empty for a table rule.
    """

    rule: str
    severity: str
    scope: str
    reason: str
    remedy: str
    in_bad_share: bool
    rows: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a suite says of a frame.

    Attributes:
        dataset: Name of the dataset.
        accepted: Rows that break no critical rule, in their order and with all columns of the validated frame.
        quarantine: One row for each (row, broken rule), in suite order; rows of `kept` False are not in `accepted`. The
            first of a row's is the one it is booked under.
        counts: Number of excluded rows by the rule they are booked under; sums to `n_rows - len(accepted)`.
        kept_counts: Number of rows listed but kept, by rule.
        n_rows: Rows that were validated.
        bad: Keys of the excluded rows that break a rule which counts towards the share of bad rows.
    """

    dataset: str
    accepted: pd.DataFrame
    quarantine: pd.DataFrame
    counts: dict[str, int]
    kept_counts: dict[str, int]
    n_rows: int
    bad: frozenset[Any]

    @property
    def success(self) -> bool:
        """Nothing was excluded."""
        return not self.counts


def validate(
    frame: pd.DataFrame,
    suite: gx.ExpectationSuite,
    *,
    dataset: str,
    key: str = "row_key",
    docs: DocsSink | None = None,
) -> Verdict:
    """Split a frame into accepted and quarantined rows, by the suite's rules about rows.

    Args:
        frame: Rows with their facts, `record_id`, and the columns every staged row carries.
        suite: A suite of `expectations`.
        dataset: Name that the quarantine rows carry.
        key: Column that identifies a row.
        docs: Takes the counts for Data Docs.

    Returns:
        The verdict. Its accepted and excluded rows are together the rows of the frame.

    Raises:
        ValueError: `key` is null or repeated.
        RuleNotComputed: A rule could not be computed, which says nothing about the data.
    """
    broken = row_breaches(frame, suite, key=key, docs=docs)
    quarantine = _quarantine(frame, broken, dataset, key)
    excluded = quarantine[~quarantine["kept"].astype(bool)]
    verdict = Verdict(
        dataset=dataset,
        accepted=frame[~frame[key].isin(excluded["row_key"])],
        quarantine=quarantine,
        counts=_counts(excluded.drop_duplicates("row_key")),
        kept_counts=_counts(quarantine[quarantine["kept"].astype(bool)]),
        n_rows=len(frame),
        bad=frozenset(
            row for breach in broken if breach.severity == "critical" and breach.in_bad_share for row in breach.rows
        ),
    )
    logger.info(
        "validated dataset=%s rows=%d accepted=%d quarantined=%s kept_with_remark=%s",
        dataset,
        verdict.n_rows,
        len(verdict.accepted),
        verdict.counts,
        verdict.kept_counts,
    )
    return verdict


def row_breaches(
    frame: pd.DataFrame, suite: gx.ExpectationSuite, *, key: str = "row_key", docs: DocsSink | None = None
) -> list[Breach]:
    """The rules about rows that do not hold, in suite order, with the keys of the rows that break them.

    Raises:
        ValueError: `key` is null or repeated.
        RuleNotComputed: A rule could not be computed, which says nothing about the data.
    """
    if not frame[key].is_unique or frame[key].hasnans:
        raise ValueError(f"{suite.name}: {key} must be present and unique; rows cannot be told apart without it")
    rules = _of_scope(suite, "row")
    failed = _failed(frame, suite, rules, docs)
    if not failed:
        return []
    second = run_rules(frame, suite.name, failed, keys_format(key))
    return [_breach(rule, tuple(_row_keys(result, key))) for rule, result in _paired(failed, second)]


def table_breaches(frame: pd.DataFrame, suite: gx.ExpectationSuite, *, docs: DocsSink | None = None) -> list[Breach]:
    """The rules about the table that do not hold, in suite order.

    For use before facts are added, which needs the columns that these rules ask for.

    Raises:
        RuleNotComputed: A rule could not be computed, which says nothing about the data.
    """
    # A missing column also breaks the rule about its type, with an error instead of a verdict.
    rules = [
        rule for rule in _of_scope(suite, "table") if "type_list" not in rule.dict() or rule.dict()["column"] in frame
    ]
    return [_breach(rule, ()) for rule in _failed(frame, suite, rules, docs)]


def _of_scope(suite: gx.ExpectationSuite, scope: str) -> list[Expectation]:
    return [rule for rule in suite.expectations if words(rule)["scope"] == scope]


def _failed(
    frame: pd.DataFrame, suite: gx.ExpectationSuite, rules: Sequence[Expectation], docs: DocsSink | None
) -> list[Expectation]:
    """The first pass: rules that do not hold."""
    result = run_rules(frame, suite.name, rules, COUNTS)
    if docs is not None:
        docs.add(suite, result)
    return [rule for rule, each in _paired(rules, result) if not each.success]


def keys_format(key: str) -> dict[str, Any]:
    """The result format that gives keys of rows, and no value of any other column."""
    return {
        "result_format": "COMPLETE",
        "partial_unexpected_count": 0,
        "unexpected_index_column_names": [key],
        "exclude_unexpected_values": True,
    }


def _new_context() -> EphemeralDataContext:
    """A context in memory, without progress bars; by itself it would make a folder for docs in /tmp each time."""
    return gx.get_context(
        mode="ephemeral",
        project_config=DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )


def words(expectation: Expectation) -> dict[str, Any]:
    """What `expectations.rule.about` says of an expectation.

    Raises:
        ValueError: The expectation says nothing about itself.
    """
    if not expectation.meta:
        raise ValueError(f"{expectation.expectation_type} lacks the meta of expectations.rule.about")
    return expectation.meta


def _unattached(expectations: Iterable[Expectation]) -> list[Expectation]:
    """Copies that no context knows, since a context writes its ids into what it is given."""
    return [expectation.copy(update={"id": None}) for expectation in expectations]


def run_rules(
    frame: pd.DataFrame, name: str, rules: Iterable[Expectation], result_format: dict[str, Any]
) -> ExpectationSuiteValidationResult:
    """One pass, in a context of its own: batch parameters are shared, a second frame would get the first one's rows.

    Raises:
        RuleNotComputed: A rule could not be computed, which says nothing about the data.
    """
    context = _new_context()
    asset = context.data_sources.add_pandas("staging").add_dataframe_asset(name)
    batch: BatchDefinition[Any] = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=_unattached(rules)))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    with _quiet_metrics():
        # Great Expectations filters by position for some rules and by label for others.
        result = definition.run(
            batch_parameters={"dataframe": frame.reset_index(drop=True)}, result_format=result_format
        )
    _refuse_errors(name, result)
    return result


@contextmanager
def _quiet_metrics() -> Iterator[None]:
    """Keep Great Expectations from logging metric errors: their tracebacks can hold values of cells."""
    calculator = logging.getLogger("great_expectations.validator.metrics_calculator")
    before = calculator.disabled
    calculator.disabled = True
    try:
        yield
    finally:
        calculator.disabled = before


def _refuse_errors(suite_name: str, result: ExpectationSuiteValidationResult) -> None:
    """Raise if a rule has no verdict because computing it failed."""
    broken = [
        f"{_rule(each)} ({type_name})" for each in result.results if (type_name := _exception_type(each.exception_info))
    ]
    if broken:
        raise RuleNotComputed(
            f"suite {suite_name}: these rules could not be computed, which says nothing about the data: "
            f"{', '.join(sorted(broken))}. Nothing was quarantined for them. Check that staging and suite agree about "
            "the columns, then run the night again."
        )


def _exception_type(info: dict[str, Any] | None) -> str:
    """The class of the error from its traceback, "" if there was none; the message is left out, it may quote a cell."""
    if not info:
        return ""
    # A failed metric is reported under its own name, anything else directly.
    for each in [info] if "raised_exception" in info else info.values():
        if each.get("raised_exception"):
            lines = (each.get("exception_traceback") or "").strip().splitlines()
            name = lines[-1].split(":")[0] if lines else ""
            # The last line of a message of several lines is no class.
            return name.rsplit(".")[-1] if re.fullmatch(r"[\w.]+Error", name) else "error"
    return ""


def _paired(
    expectations: Iterable[Expectation], result: ExpectationSuiteValidationResult
) -> list[tuple[Expectation, ExpectationValidationResult]]:
    """Each expectation with its result: results come back in an order of their own."""
    by_rule = {_rule(each): each for each in result.results}
    return [(expectation, by_rule[words(expectation)["rule"]]) for expectation in expectations]


def _rule(result: ExpectationValidationResult) -> str:
    config = result.expectation_config
    if config is None:
        raise ValueError("Great Expectations returned a result without its expectation")
    return str(config.meta["rule"])


def _row_keys(result: ExpectationValidationResult, key: str) -> Iterator[Any]:
    for entry in result.result["unexpected_index_list"]:
        yield from entry[key]


def _breach(expectation: Expectation, rows: tuple[Any, ...]) -> Breach:
    about = words(expectation)
    return Breach(
        rule=about["rule"],
        severity=str(expectation.severity.value),
        scope=about["scope"],
        reason=about["reason"],
        remedy=about["remedy"],
        in_bad_share=about["in_bad_share"],
        rows=rows,
    )


def _quarantine(frame: pd.DataFrame, broken: Sequence[Breach], dataset: str, key: str) -> pd.DataFrame:
    """One row for each (row, broken rule): suite order, then the frame's rows by key."""
    if not broken:
        return pd.DataFrame({column: pd.Series(dtype="object") for column in QUARANTINE_COLUMNS})
    origin = frame.assign(row_key=frame[key])[["row_key", "record_id", "source_file", "row_number", "batch_date"]]
    origin = origin.set_index("row_key", drop=False)
    parts = [
        origin.loc[sorted(breach.rows)].assign(
            dataset=dataset,
            rule=breach.rule,
            severity=breach.severity,
            kept=breach.severity != "critical",
            reason=breach.reason,
            remedy=breach.remedy,
        )
        for breach in broken
    ]
    return pd.concat(parts, ignore_index=True)[list(QUARANTINE_COLUMNS)]


def _counts(listed: pd.DataFrame) -> dict[str, int]:
    return {str(rule): int(n) for rule, n in listed.groupby("rule", sort=False).size().items()}
