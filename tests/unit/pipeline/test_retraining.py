"""What an answer means, and what a candidate is called."""

from dataclasses import replace
from datetime import date

import pytest

from scoring.pipeline.approval import APPROVE, REFUSE, Decision, decision_of
from scoring.pipeline.candidates import candidate_version
from scoring.pipeline.retraining import Run
from scoring.pipeline.snapshot import Snapshot
from scoring.training.fit import TrainingRecipe

RUN = Run("00000000-0000-0000-0000-000000000001", date(2026, 11, 21), "phantom-3")
TAKEN = Snapshot("a" * 64, 100, 20, [50, 10, 10, 10, 10, 10], {}, 0, synthetic=False)
RECIPE = TrainingRecipe()


def answer(option, reason="", name="anna"):
    user = {"id": "7", "name": name}
    return {"chosen_options": [option], "params_input": {"reason": reason}, "responded_by_user": user}


def by_nobody(option):
    return answer(option) | {"responded_by_user": None}


UNANSWERED = Decision(False, "nobody", "nobody answered the question")


@pytest.mark.parametrize(
    ("given", "approval", "decision"),
    [
        (answer(APPROVE, " better on wrists "), "person", Decision(True, "anna", "better on wrists")),
        (answer(APPROVE), "person", Decision(True, "anna", "no reason was given")),
        (answer(REFUSE, "odd feet"), "person", Decision(False, "anna", "odd feet")),
        # After the time is up Airflow answers itself, in nobody's name; and a task may be marked as done by hand.
        (by_nobody(REFUSE), "person", UNANSWERED),
        (by_nobody(APPROVE), "person", UNANSWERED),
        (None, "person", UNANSWERED),
        (None, "none", Decision(True, "ops", "the run was started without asking for approval")),
    ],
)
def test_only_a_person_who_approves_has_approved(given, approval, decision):
    assert decision_of(given, approval=approval, started_by="ops") == decision


def test_a_candidate_is_named_after_what_it_is_made_of():
    def named(recipe=RECIPE, taken=TAKEN, revision="abc"):
        return candidate_version("grid-residual", recipe, taken, RUN.cut_off, revision)

    assert named() == named()
    assert named().startswith("grid-residual-2026-11-21-")
    others = {
        named(recipe=replace(RECIPE, seed=1)),
        named(recipe=replace(RECIPE, epochs=9)),
        named(taken=replace(TAKEN, sha256="b" * 64)),
        # The same pixels from a folder of phantoms are no data of patients.
        named(taken=replace(TAKEN, synthetic=True)),
        named(revision="abd"),
    }
    assert len(others | {named()}) == 6


def test_a_run_travels_as_an_xcom():
    assert Run.from_dict(RUN.to_dict()) == RUN
