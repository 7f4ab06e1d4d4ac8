import re
from datetime import date

import pytest

from expectations.consultations import consultations
from expectations.disease_activity import disease_activity
from expectations.images import images
from expectations.predictions import predictions
from expectations.readings import readings
from expectations.rule import NAME_OR_BIRTH_DATE
from expectations.training_set import training_set
from scoring.clinical import joints
from scoring.validation.quarantine import UNCHANGED_SINCE_VALIDATION

NIGHT = date(2026, 11, 21)
SUITES = [
    consultations(NIGHT),
    readings(joints.COLUMNS),
    disease_activity(NIGHT),
    images(
        joints=joints.COLUMNS,
        min_side=48,
        max_side=1024,
        min_contrast=4,
        max_dark_share=0.8,
        max_bright_share=0.5,
    ),
    predictions(),
    training_set(min_joints_of_grade=20, min_patients=100, min_test_patients=10),
]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_every_rule_says_what_is_wrong_and_what_to_do(suite):
    for expectation in suite.expectations:
        words = expectation.meta
        assert words["rule"].startswith(f"{suite.name}."), words
        assert words["scope"] in {"row", "table"}
        assert expectation.severity.value in {"critical", "warning", "info"}
        for sentence in (words["reason"], words["remedy"], expectation.description):
            assert sentence.endswith(".")
            assert len(sentence) > 15


def test_rule_ids_are_unique():
    rules = [expectation.meta["rule"] for suite in SUITES for expectation in suite.expectations]
    rules.append(UNCHANGED_SINCE_VALIDATION["rule"])
    assert len(rules) == len(set(rules))


def test_kept_rows_are_said_to_be_kept():
    for suite in SUITES:
        for expectation in suite.expectations:
            if expectation.severity.value != "critical":
                text = expectation.meta["reason"] + expectation.meta["remedy"]
                assert "kept" in text, expectation.meta["rule"]


@pytest.mark.parametrize(
    "text", ["Muster, Anna", "Anna Muster", "Müller", "Meier-Huber", "1950-04-01", "1.4.50", "a@b.ch"]
)
def test_a_name_or_a_birth_date_is_no_pseudonym(text):
    assert re.search(NAME_OR_BIRTH_DATE, text)


@pytest.mark.parametrize("text", ["00123", "p", "pat-00123", "SCQM_4711", "a1b2", "2.25.123456", "P" * 64, "19500401"])
def test_a_pseudonym_may_have_any_other_form(text):
    assert not re.search(NAME_OR_BIRTH_DATE, text)
