"""Validation of a training set; the message of a rejection includes the number of joints per grade."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from expectations.training_set import GRADES, PARTS, training_set_suite
from scoring.errors import BadInput
from scoring.validation.facts import training_set_facts
from scoring.validation.runner import DocsSink, row_breaches, table_breaches


@dataclass(frozen=True)
class TrainingSetVerdict:
    """The numbers of an accepted training set.

    Attributes:
        joints: Number of joints by part (`train`, `validation`, `test`) and grade 0 to 5.
        remarks: Number of joints that break a rule which does not stop the training, by rule.
    """

    joints: Mapping[str, list[int]]
    remarks: Mapping[str, int]


def check_training_set(
    joints: pd.DataFrame,
    *,
    min_joints_of_grade: int,
    min_patients: int,
    min_test_patients: int,
    docs: DocsSink | None = None,
) -> TrainingSetVerdict:
    """Check that a model can be trained on a set of joints.

    Args:
        joints: One row per joint: pixels_sha256 (of the decoded image), joint, patient_id, part, reading_percent and
            grade.
        min_joints_of_grade: Joints of each grade that the training set needs.
        min_patients: Patients that the whole set needs.
        min_test_patients: Patients that the test set needs.
        docs: Receives the counts for Data Docs.

    Raises:
        BadInput: The set cannot be used; the message lists the reasons and the number of joints per grade.
        RuleNotComputed: A rule could not be computed.
    """
    suite = training_set_suite(
        min_joints_of_grade=min_joints_of_grade, min_patients=min_patients, min_test_patients=min_test_patients
    )
    broken = [breach.rule for breach in table_breaches(joints, suite, docs=docs)]
    # An empty set breaks every rule about its size; the first reason is enough.
    broken = [rule for rule in broken if rule.name == "training_set.has_readings"] or broken
    problems, remarks = [f"{rule.reason} {rule.remedy}" for rule in broken], {}
    for breach in row_breaches(training_set_facts(joints), suite, docs=docs):
        if breach.rule.severity == "critical":
            problems.append(f"{breach.rule.reason} {breach.rule.remedy} Joints affected: {len(breach.rows)}.")
        else:
            remarks[breach.rule.name] = len(breach.rows)
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
