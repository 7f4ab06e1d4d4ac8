"""Data Docs: Great Expectations' own pages about a night, from counts only and with nothing to load.

Great Expectations' renderer says what stands on a page. Its page templates and its site builder are not used: they load
scripts, styles and fonts from a dozen public servers, which a hospital's network does not reach and must not try to,
and without its scripts the index stays empty. The pages of `templates/` have their style inside and no script.

The results are kept as JSON beside the site, so that a later step of the same night (the predictions) adds its page to
the site of an earlier one. A result is copied field by field from a list of counts; a value of a cell, a row key or an
error text has no way in.
"""

import html
import json
import logging
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

import great_expectations as gx
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from upath import UPath

from scoring.validation.runner import words

logger = logging.getLogger(__name__)

COUNT_FIELDS = ("element_count", "unexpected_count", "missing_count")

_TEMPLATES: Final = Path(__file__).with_name("templates")


class _SuitePage(DefaultJinjaPageView):
    """A suite's page of `templates/`, in which Great Expectations' own templates render the tables."""

    _template = "suite.html"


class BatchDocs:
    """Collects the results of one run's suites and writes them as a site of that run.

    Args:
        report_url: Root of the reports, any fsspec URL.
        batch_date: The night.
        run_id: The run; two runs of a night at once must not write each other's pages.
    """

    def __init__(self, report_url: str, batch_date: date, run_id: str) -> None:
        self.batch_date = batch_date
        self.url = UPath(report_url) / batch_date.isoformat() / "data_docs" / run_id
        self._rules: dict[str, dict[str, dict[str, Any]]] = {}

    def add(self, suite: gx.ExpectationSuite, result: ExpectationSuiteValidationResult) -> None:
        """Take the counts of some rules of a suite. A rule that ran before, on another shard, has its counts added."""
        rules = self._rules.setdefault(suite.name, {})
        for rule, fields in counts_by_rule(suite, result).items():
            rules[rule] = _added(rules[rule], fields) if rule in rules else fields

    def write(self) -> str:
        """Write the results, and the site of these and of those that an earlier step of the run left here.

        Returns:
            The address of the site's first page.
        """
        kept = self.url / "results"
        kept.mkdir(parents=True, exist_ok=True)
        for name, rules in self._rules.items():
            (kept / f"{name}.json").write_text(json.dumps(self._suite_result(name, list(rules.values())), indent=1))
        suites = [json.loads(path.read_text()) for path in sorted(kept.glob("*.json"))]
        for address, page in _pages(suites, self.batch_date).items():
            place = self.url / address
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(page, encoding="utf-8")
        logger.info("data docs written batch_date=%s suites=%d", self.batch_date, len(suites))
        return str(self.url / "index.html")

    def _suite_result(self, name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
        n_held = sum(rule["success"] for rule in rules)
        return {
            "success": n_held == len(rules),
            "suite_name": name,
            "statistics": {
                "evaluated_expectations": len(rules),
                "successful_expectations": n_held,
                "unsuccessful_expectations": len(rules) - n_held,
                "success_percent": 100 * n_held / len(rules),
            },
            "suite_parameters": {},
            "meta": {
                "great_expectations_version": gx.__version__,
                "run_id": {"run_name": self.batch_date.isoformat(), "run_time": _midnight(self.batch_date).isoformat()},
                "batch_kwargs": {"data_asset_name": name},
            },
            "results": rules,
        }


def counts_by_rule(suite: gx.ExpectationSuite, result: ExpectationSuiteValidationResult) -> dict[str, dict[str, Any]]:
    """What may be kept of a result: for each rule, in suite order, its verdict and its counts."""
    order = {words(expectation)["rule"]: place for place, expectation in enumerate(suite.expectations)}
    fields = result.to_json_dict()  # type: ignore[no-untyped-call]
    by_rule = {each["expectation_config"]["meta"]["rule"]: _counts_only(each) for each in fields["results"]}
    return dict(sorted(by_rule.items(), key=lambda item: order[item[0]]))


def _counts_only(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "success": fields["success"],
        "expectation_config": fields["expectation_config"],
        "result": _with_percent({name: fields["result"][name] for name in COUNT_FIELDS if name in fields["result"]}),
        "exception_info": {"raised_exception": False, "exception_message": None, "exception_traceback": None},
        "meta": {},
    }


def _added(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    counts = {name: first["result"][name] + second["result"][name] for name in COUNT_FIELDS if name in first["result"]}
    return {**second, "success": first["success"] and second["success"], "result": _with_percent(counts)}


def _with_percent(counts: dict[str, int]) -> dict[str, float]:
    """Counts and the percentage that the pages show, of the rows that the rule judged."""
    if "element_count" not in counts:
        return {**counts}
    judged = counts["element_count"] - counts.get("missing_count", 0)
    return {**counts, "unexpected_percent": 100 * counts["unexpected_count"] / judged if judged else 0.0}


def _pages(suites: list[dict[str, Any]], batch_date: date) -> dict[str, str]:
    """The pages of the site by their address in it."""
    view = _SuitePage(custom_views_directory=str(_TEMPLATES))
    renderer = ValidationResultsPageRenderer()
    pages = {"index.html": view.env.get_template("index.html").render(suites=suites, night=batch_date)}
    for suite in suites:
        document = renderer.render(_load(suite))
        pages[f"suites/{suite['suite_name']}.html"] = view.render(  # type: ignore[no-untyped-call]
            document, suite=suite, night=batch_date
        )
    return pages


def _load(fields: dict[str, Any]) -> ExpectationSuiteValidationResult:
    """A kept result as Great Expectations' object; its renderer takes a description for HTML, so it is escaped here."""
    rules = [
        {
            **rule,
            "expectation_config": {**config, "description": html.escape(config.get("description") or "", quote=False)},
        }
        for rule in fields["results"]
        for config in [rule["expectation_config"]]
    ]
    result: ExpectationSuiteValidationResult = ExpectationSuiteValidationResultSchema().load(
        {**fields, "results": rules}
    )
    return result


def _midnight(batch_date: date) -> datetime:
    return datetime.combine(batch_date, time.min, UTC)
