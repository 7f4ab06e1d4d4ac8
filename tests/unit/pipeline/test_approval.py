import pytest

from scoring.errors import InvalidRequest
from scoring.pipeline.approval import APPROVE, REJECT, Decision, check_approval, decision_of

UNANSWERED = Decision(False, "nobody", "the question was not answered")


def answer(option, reason="", name="anna"):
    user = {"id": "7", "name": name}
    return {"chosen_options": [option], "params_input": {"reason": reason}, "responded_by_user": user}


def without_user(option):
    return answer(option) | {"responded_by_user": None}


@pytest.mark.parametrize(
    ("given", "approval", "decision"),
    [
        (answer(APPROVE, " better on wrists "), "person", Decision(True, "anna", "better on wrists")),
        (answer(APPROVE), "person", Decision(True, "anna", "no reason was given")),
        (answer(REJECT, "odd feet"), "person", Decision(False, "anna", "odd feet")),
        # After the deadline Airflow answers without a user; a task can also be marked as done by hand.
        (without_user(REJECT), "person", UNANSWERED),
        (without_user(APPROVE), "person", UNANSWERED),
        (None, "person", UNANSWERED),
        (None, "none", Decision(True, "ops", "the run was started without asking for approval")),
    ],
)
def test_decision_of_approves_only_if_a_person_approved(given, approval, decision):
    assert decision_of(given, approval=approval, started_by="ops") == decision


def test_check_approval_rejects_a_run_without_a_question_if_approvers_are_named():
    check_approval("person", ["anna"])
    check_approval("none", [])
    with pytest.raises(InvalidRequest, match="SCORING_APPROVERS requires a decision by a person"):
        check_approval("none", ["anna"])
