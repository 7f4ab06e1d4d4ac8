"""The tables of rules, read without Great Expectations."""

import re
from datetime import date

import pytest

from expectations.consultations import consultations_suite
from expectations.disease_activity import disease_activity_suite
from expectations.images import images_suite
from expectations.predictions import predictions_suite
from expectations.readings import readings_suite
from expectations.shared import NAME_OR_BIRTH_DATE
from expectations.training_set import training_set_suite
from scoring.validation.quarantine import UNCHANGED_SINCE_VALIDATION

SUITES = [
    consultations_suite(date(2026, 11, 21)),
    readings_suite(),
    disease_activity_suite(date(2026, 11, 21)),
    images_suite(min_side=48, max_side=1024),
    predictions_suite(),
    training_set_suite(min_joints_of_grade=20, min_patients=100, min_test_patients=10),
]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_suite_gives_each_rule_a_name_a_reason_and_a_remedy(suite):
    for rule in suite.rules:
        assert rule.name.startswith(f"{suite.name}."), rule
        assert rule.severity in {"critical", "warning", "info"}, rule
        for sentence in (rule.reason, rule.remedy):
            assert sentence.endswith("."), rule
            assert len(sentence) > 15, rule


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_rule_expectation_keeps_the_texts_and_the_severity(suite):
    for rule in suite.rules:
        expectation = rule.expectation()
        assert expectation.meta == {"rule": rule.name, "reason": rule.reason, "remedy": rule.remedy}
        assert expectation.severity.value == rule.severity
        assert expectation.description.endswith(f"{rule.check.condition}. If not: {rule.reason}")


def test_suites_give_each_rule_a_unique_name():
    names = [rule.name for suite in SUITES for rule in suite.rules]
    names.append(UNCHANGED_SINCE_VALIDATION["rule"])
    assert len(names) == len(set(names))


def test_suites_state_that_rows_with_warnings_are_kept():
    for suite in SUITES:
        for rule in suite.rules:
            assert rule.severity == "critical" or "kept" in rule.reason + rule.remedy, rule


@pytest.mark.parametrize(
    "text", ["Muster, Anna", "Anna Muster", "Müller", "Meier-Huber", "1950-04-01", "1.4.50", "a@b.ch"]
)
def test_name_or_birth_date_matches_names_dates_and_addresses(text):
    assert re.search(NAME_OR_BIRTH_DATE, text)


@pytest.mark.parametrize("text", ["00123", "p", "pat-00123", "SCQM_4711", "a1b2", "2.25.123456", "P" * 64, "19500401"])
def test_name_or_birth_date_does_not_match_pseudonyms(text):
    assert not re.search(NAME_OR_BIRTH_DATE, text)
