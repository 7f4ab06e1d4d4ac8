"""Validation of a training set: the suite's verdict as one message that has the numbers of joints in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from expectations.training_set import GRADES, PARTS
from expectations.training_set import training_set as training_set_suite
from scoring.errors import BadInput
from scoring.validation.facts import training_set_facts
from scoring.validation.runner import Breach, DocsSink, row_breaches, table_breaches


@dataclass(frozen=True)
class TrainingSetVerdict:
    """What may be trained on.

    Attributes:
        joints: Joints by part (`train`, `validation`, `test`) and grade 0 to 5.
        remarks: Joints that break a rule which does not stop the training, by rule.
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
    """Refuse a set of joints that nothing should be trained on.

    Args:
        joints: One row a joint: pixels_sha256 (of the decoded image), joint, patient_id, part, reading_percent, grade.
        min_joints_of_grade: Joints of each grade that are needed to learn from.
        min_patients: Patients that are needed.
        min_test_patients: Patients that are needed to test on.
        docs: Takes the counts for Data Docs.

    Raises:
        BadInput: The set cannot be used; the message lists why, and how many joints there are of each grade.
        RuleNotComputed: A rule could not be computed.
    """
    suite = training_set_suite(
        min_joints_of_grade=min_joints_of_grade, min_patients=min_patients, min_test_patients=min_test_patients
    )
    complaints, remarks = _table_complaints(table_breaches(joints, suite, docs=docs)), {}
    facts = training_set_facts(joints)
    for breach in row_breaches(facts, suite, docs=docs):
        if breach.severity == "critical":
            complaints.append(f"{breach.reason} ({len(breach.rows)} joints) {breach.remedy}")
        else:
            remarks[breach.rule] = len(breach.rows)
    counts = _counts(joints)
    if complaints:
        listed = "\n".join(f"- {complaint}" for complaint in complaints)
        raise BadInput(f"nothing can be trained on this set:\n{listed}\n{_said(counts, joints)}")
    return TrainingSetVerdict(counts, remarks)


def _table_complaints(breaches: list[Breach]) -> list[str]:
    # Of an empty table, that it is empty is all there is to say.
    empty = [breach for breach in breaches if breach.rule == "training_set.has_readings"]
    return [f"{breach.reason} {breach.remedy}" for breach in empty or breaches]


def _counts(joints: pd.DataFrame) -> dict[str, list[int]]:
    return {part: [int(((joints["part"] == part) & (joints["grade"] == g)).sum()) for g in GRADES] for part in PARTS}


def _said(counts: Mapping[str, list[int]], joints: pd.DataFrame) -> str:
    n_patients = joints["patient_id"].nunique()
    parts = "; ".join(f"{part} {' / '.join(map(str, of_grade))}" for part, of_grade in counts.items())
    return f"There are {len(joints)} joints of {n_patients} patients; by grade 0 to 5: {parts}."
