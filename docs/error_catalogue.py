"""Renders the error catalogue: every exit code and every validation rule."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from docs.error_examples import FAILURES, RULES
from docs.markdown import HEADER, page, table
from expectations.consultations import consultations_suite
from expectations.disease_activity import disease_activity_suite
from expectations.images import images_suite
from expectations.predictions import predictions_suite
from expectations.readings import readings_suite
from expectations.rule import Rule, Suite
from expectations.training_set import training_set_suite
from scoring import errors
from scoring.errors import ScoringError
from scoring.settings import Settings
from scoring.training.evaluation.challenge import MIN_TEST_PATIENTS

EXAMPLE_BATCH = date(2026, 11, 21)

CATALOGUE_INTRODUCTION = """# Error catalogue

Every exit code of `scoring`, and every validation rule with an example, its message and its remedy.
[Recover from a failure](../how-to/recover_from_failure.md) shows how to use it.

## Exit codes

Errors marked *retried* can disappear by themselves; Airflow retries their tasks.
"""

RULES_INTRODUCTION = """## Validation rules

| Severity | Effect on a row | Effect on the table |
|---|---|---|
| critical | quarantined | the run stops; nothing is published |
| warning, info | kept and listed | |

- The name of a rule is stored in `scoring.quarantine` and never changes its meaning.
- An empty cell breaks only rules about presence.
- A run also stops if too large a share of a table's rows is bad (`SCORING_MAX_BAD_SHARE`).
"""

SUITE_INTRODUCTIONS: Mapping[str, str] = {
    "consultations": "Rows of `consultations.csv`, apart from the joint columns.",
    "readings": "Joint columns of `consultations.csv`, one row per joint that was read.",
    "disease_activity": "Rows of `disease_activity.csv`. A row with one bad value is quarantined as a whole.",
    "images": "Files in `joints/`.",
    "predictions": "Predictions of the network, checked before they are published. A broken rule rejects the model.",
    "training_set": "Snapshot of a retraining. A broken critical rule stops the retraining.",
}


def error_catalogue() -> str:
    """Render every exit code and every validation rule."""
    sections = [HEADER, CATALOGUE_INTRODUCTION, _exit_code_table()]
    for error in sorted(_errors(), key=lambda each: each.exit_code):
        failure = FAILURES[error.__name__]
        sections += [
            f"### {error.exit_code} {error.__name__}\n",
            " ".join((error.__doc__ or "").split()) + "\n",
            f"- Message: `{failure.message}`\n- Remedy: {failure.remedy}\n",
        ]
    sections.append(RULES_INTRODUCTION)
    for suite in _suites():
        sections += [f"### Rules of {suite.name}\n", SUITE_INTRODUCTIONS[suite.name] + "\n"]
        sections += [_row_rule(rule) for rule in suite.rules if not rule.check.of_table]
        sections += _table_rules([rule for rule in suite.rules if rule.check.of_table])
    return page(sections)


def _errors() -> list[type[ScoringError]]:
    return [error for error in vars(errors).values() if isinstance(error, type) and error.__base__ is ScoringError]


def _exit_code_table() -> str:
    rows = [("0", "", "success", ""), ("1", "", "unexpected error; report it with its traceback", ""),
            ("2", "", "wrong usage; see `scoring COMMAND --help`", "")]  # fmt: skip
    for error in sorted(_errors(), key=lambda each: each.exit_code):
        first_sentence = " ".join((error.__doc__ or "").split()).split(". ")[0].rstrip(".")
        rows.append((str(error.exit_code), f"`{error.__name__}`", first_sentence, "yes" if error.retry else ""))
    return table(("Code", "Error", "Meaning", "Retried"), rows)


def _suites() -> list[Suite]:
    """Return all suites with the limits of the default settings."""
    defaults = Settings.model_construct()
    return [
        consultations_suite(EXAMPLE_BATCH),
        readings_suite(),
        disease_activity_suite(EXAMPLE_BATCH),
        images_suite(min_side=defaults.min_image_side, max_side=defaults.max_image_side),
        predictions_suite(),
        training_set_suite(
            min_joints_of_grade=defaults.min_joints_of_grade,
            min_patients=defaults.min_training_patients,
            min_test_patients=MIN_TEST_PATIENTS,
        ),
    ]


def _row_rule(rule: Rule) -> str:
    return (
        f"#### {rule.name}\n\n- Severity: {rule.severity}\n- Example: {_example(rule)}\n- Message: {rule.reason}\n"
        f"- Remedy: {rule.remedy}\n"
    )


def _table_rules(rules: Sequence[Rule]) -> list[str]:
    """Render the rules of a table; rules that differ only in the name of a column are one entry."""
    groups: dict[tuple[str, str, str], list[Rule]] = {}
    for rule in rules:
        column = rule.check.column or "COLUMN"
        text = [part.replace(column, "COLUMN") for part in (rule.name, rule.reason, rule.remedy)]
        groups.setdefault((text[0], text[1], text[2]), []).append(rule)
    sections = []
    for (name, reason, remedy), members in groups.items():
        one = len(members) == 1
        # A column with the unread text of another one is not delivered.
        delivered = [str(rule.check.column) for rule in members if not str(rule.check.column).endswith("_text")]
        columns = ", ".join(f"`{column}`" for column in delivered)
        sections.append(
            f"#### {members[0].name if one else name}\n\n- Severity: {members[0].severity}, of the table\n"
            + (f"- Example: {_example(members[0])}\n" if one else f"- Columns: {columns}\n")
            + f"- Message: {members[0].reason if one else reason}\n- Remedy: {members[0].remedy if one else remedy}\n"
        )
    return sections


def _example(rule: Rule) -> str:
    """Return an example of data that break the rule: a written one, or one that follows from the check.

    Raises:
        KeyError: The rule needs an entry in `error_examples.RULES`.
    """
    if rule.name in RULES:
        return RULES[rule.name]
    column = re.sub(r"_(text|readable)$", "", rule.check.column)
    examples = {
        r" exists$": f"a table without `{rule.check.column}`",
        r" holds numbers$": f"`{column}` staged as text, a fault of the software",
        r" is present$": f"empty `{column}`",
        r"_not_too_long ": f"`{column}` with 65 characters",
        r"date\w*_readable ": f"`{column}` = `21.11.2026`",
        r"_readable ": f"`{column}` = `n/a`",
        r"_in_range ": f"`{column}` = `{rule.check.arguments.get('max_value', 0) + 1:g}`",
        r"enough_of_grade_": "3 joints of the grade in the training set",
    }
    for pattern, example in examples.items():
        if re.search(pattern, f"{rule.name} {rule.check.condition}"):
            return example
    raise KeyError(f"Add an example of {rule.name} to docs/error_examples.py.")
