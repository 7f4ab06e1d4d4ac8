"""Validation of a training set; the message of a rejection includes the number of joints per grade."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from expectations.training_set import GRADES, PARTS, training_set_suite
from scoring.errors import BadInput
from scoring.settings import Settings
from scoring.validation.facts import training_set_facts
from scoring.validation.runner import broken_table_rules, row_breaches

if TYPE_CHECKING:
    from scoring.validation.docs import BatchDocs


class TrainingSetVerdict(NamedTuple):
    """The numbers of an accepted training set.

    Attributes:
        joints: Number of joints by part (`train`, `validation`, `test`) and grade 0 to 5.
        remarks: Number of joints that break a rule which does not stop the training, by rule.
    """

    joints: Mapping[str, list[int]]
    remarks: Mapping[str, int]


def check_training_set(
    joints: pd.DataFrame, settings: Settings, *, min_test_patients: int, docs: "BatchDocs | None" = None
) -> TrainingSetVerdict:
    """Check that a model can be trained on a set of joints, and on no fewer than the settings require.

    The set has one row per joint: pixels_sha256 (of the decoded image), joint, patient_id, part, reading_percent and
    grade.

    Raises:
        BadInput: The set cannot be used; the message lists the reasons and the number of joints per grade.
        RuleNotComputed: A rule could not be computed.
    """
    suite = training_set_suite(
        min_joints_of_grade=settings.min_joints_of_grade,
        min_patients=settings.min_training_patients,
        min_test_patients=min_test_patients,
    )
    broken = broken_table_rules(joints, suite, docs=docs)
    # An empty set breaks every rule about its size; the first reason is enough.
    broken = [rule for rule in broken if rule.name == "training_set.has_readings"] or broken
    problems, remarks = [f"{rule.reason} {rule.remedy}" for rule in broken], {}
    for rule, rows in row_breaches(training_set_facts(joints), suite, docs=docs):
        if rule.severity == "critical":
            problems.append(f"{rule.reason} {rule.remedy} Joints affected: {len(rows)}.")
        else:
            remarks[rule.name] = len(rows)
    counts = {
        part: [int(((joints["part"] == part) & (joints["grade"] == grade)).sum()) for grade in GRADES] for part in PARTS
    }
    if problems:
        listed = "\n".join(f"- {problem}" for problem in problems)
        by_part = "; ".join(f"{part} {' / '.join(map(str, by_grade))}" for part, by_grade in counts.items())
        raise BadInput(
            f"No model can be trained on this set. Correct these problems:\n{listed}\nThe set has {len(joints)} joints "
            f"of {joints['patient_id'].nunique()} patients. Joints of grades 0 to 5: {by_part}."
        )
    return TrainingSetVerdict(counts, remarks)
