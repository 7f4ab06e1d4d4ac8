"""Data Docs: HTML reports of Great Expectations about a batch, with counts only and without external resources.

Great Expectations renders the tables of rules. Its page templates and site builder are not used: they load scripts,
styles and fonts from public servers, which a hospital network blocks, and the index is empty without its scripts. The
templates in `templates/` contain their styles and use no script.

The results are stored as JSON next to the site, so that a later step of the run can add a suite (the predictions). Only
counts are copied from a result; values of cells, row keys and error messages are never stored.
"""

import html
import json
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

import great_expectations as gx
from great_expectations.core import ExpectationValidationResult
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from upath import UPath

from expectations.rule import Suite

logger = logging.getLogger(__name__)

COUNT_FIELDS = ("element_count", "unexpected_count", "missing_count")

_TEMPLATES: Final = Path(__file__).with_name("templates")


class _SuitePage(DefaultJinjaPageView):
    """The template of a suite, in which Great Expectations renders the tables."""

    _template = "suite.html"


class BatchDocs:
    """Collects the results of a run's suites and writes them as the Data Docs of that run.

    Simultaneous runs of a batch write separate sites below the URL of the reports.
    """

    def __init__(self, report_url: str, batch_date: date, run_id: str) -> None:
        self.batch_date = batch_date
        self.url = UPath(report_url) / batch_date.isoformat() / "data_docs" / run_id
        self._rules: dict[str, dict[str, dict[str, Any]]] = {}

    def add(self, suite: Suite, results: Mapping[str, ExpectationValidationResult]) -> None:
        """Store the counts of some rules of a suite; counts of a rule that ran on several shards are added up."""
        rules = self._rules.setdefault(suite.name, {})
        for rule in suite.rules:
            if rule.name in results:
                fields = results[rule.name].to_json_dict()
                rules[rule.name] = _counts_only(fields, rules.get(rule.name))

    def write(self) -> str:
        """Write the results, and the site of these and earlier results of the run; return the URL of the index."""
        stored = self.url / "results"
        stored.mkdir(parents=True, exist_ok=True)
        for name, rules in self._rules.items():
            (stored / f"{name}.json").write_text(json.dumps(self._suite_result(name, list(rules.values())), indent=1))
        suites = [json.loads(path.read_text()) for path in sorted(stored.glob("*.json"))]
        for address, content in _pages(suites, self.batch_date).items():
            path = self.url / address
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        logger.info("data_docs_written batch_date=%s suites=%d", self.batch_date, len(suites))
        return str(self.url / "index.html")

    def _suite_result(self, name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
        n_passed = sum(rule["success"] for rule in rules)
        midnight = datetime.combine(self.batch_date, time.min, UTC)
        return {
            "success": n_passed == len(rules),
            "suite_name": name,
            "statistics": {
                "evaluated_expectations": len(rules),
                "successful_expectations": n_passed,
                "unsuccessful_expectations": len(rules) - n_passed,
                "success_percent": 100 * n_passed / len(rules),
            },
            "suite_parameters": {},
            "meta": {
                "great_expectations_version": gx.__version__,
                "run_id": {"run_name": self.batch_date.isoformat(), "run_time": midnight.isoformat()},
                "batch_kwargs": {"data_asset_name": name},
            },
            "results": rules,
        }


def _counts_only(fields: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
    """Return the counts of a rule, added to those of an earlier shard."""
    counts = {name: fields["result"][name] for name in COUNT_FIELDS if name in fields["result"]}
    if earlier is not None:
        counts = {name: n + earlier["result"][name] for name, n in counts.items()}
    if "element_count" in counts:
        checked = counts["element_count"] - counts.get("missing_count", 0)
        counts["unexpected_percent"] = 100 * counts["unexpected_count"] / checked if checked else 0.0
    return {
        "success": fields["success"] and (earlier is None or earlier["success"]),
        "expectation_config": fields["expectation_config"],
        "result": counts,
        "exception_info": {"raised_exception": False, "exception_message": None, "exception_traceback": None},
        "meta": {},
    }


def _pages(suites: list[dict[str, Any]], batch_date: date) -> dict[str, str]:
    """Return the HTML files of the site by their path."""
    view = _SuitePage(custom_views_directory=str(_TEMPLATES))
    renderer = ValidationResultsPageRenderer()
    pages = {"index.html": view.env.get_template("index.html").render(suites=suites, batch_date=batch_date)}
    for suite in suites:
        for rule in suite["results"]:
            config = rule["expectation_config"]
            # The renderer expects descriptions as HTML.
            config["description"] = html.escape(config["description"], quote=False)
        document = renderer.render(ExpectationSuiteValidationResultSchema().load(suite))
        page = view.render(document, suite=suite, batch_date=batch_date)  # type: ignore[no-untyped-call]
        pages[f"suites/{suite['suite_name']}.html"] = page
    return pages
