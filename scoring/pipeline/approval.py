"""The question whether a challenger shall become the champion, and what an answer to it means. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scoring.errors import InvalidRequest

if TYPE_CHECKING:
    from scoring.training.evaluation.challenge import Verdict

APPROVE, REJECT = "Approve", "Reject"
"""The two answers to the question."""


@dataclass(frozen=True)
class Decision:
    """Whether a proposed challenger shall become the champion, by whom and why."""

    approved: bool
    decided_by: str
    reason: str


def check_approval(approval: str, approvers: Sequence[str]) -> None:
    """Check that a run asks for approval if the installation names approvers.

    Raises:
        InvalidRequest: `approval` is "none", and there are approvers.
    """
    if approval == "none" and approvers:
        raise InvalidRequest(
            "The parameter approval is none, but SCORING_APPROVERS requires a decision by a person. Start the run with "
            "approval = person."
        )


def decision_of(answer: Mapping[str, Any] | None, *, approval: str, started_by: str) -> Decision:
    """Translate an answer in Airflow's *Required Actions* into a decision.

    Args:
        answer: Chosen options, input and user, as Airflow's operator returns them; None if there is none.
        approval: "person", or "none" if the run was started without a question.
        started_by: Who started the run.
    """
    if approval == "none":
        return Decision(True, started_by, "the run was started without asking for approval")
    # `responded_by_user` is None if the question was marked as done without an answer.
    if answer is None or answer["responded_by_user"] is None:
        return Decision(False, "nobody", "the question was not answered")
    reason = str((answer["params_input"] or {}).get("reason") or "").strip()
    approved = answer["chosen_options"] == [APPROVE]
    return Decision(approved, str(answer["responded_by_user"]["name"]), reason or "no reason was given")


def question(champion: str, challenger: str, verdict: "Verdict", *, synthetic: bool) -> str:
    """Return the comparison of two models in Markdown, for the person who decides."""
    low, high = verdict.interval
    rows = [
        (f"{verdict.metric.replace('_', ' ')}", verdict.n_joints, verdict.champion, verdict.challenger),
        *(
            (f"mean absolute grade error, {group.name}", group.n_joints, group.champion, group.challenger)
            for group in verdict.subgroups
        ),
    ]
    notice = "**Synthetic phantoms: these figures say nothing about patients.**\n\n" if synthetic else ""
    table = "\n".join(f"| {name} | {n} | {a:.3f} | {b:.3f} | {b - a:+.3f} |" for name, n, a, b in rows)
    reasons = "\n".join(f"- {reason}" for reason in verdict.reasons)
    return (
        f"{notice}Compared on {verdict.n_joints} joints of {verdict.n_patients} test patients whom neither model was "
        f"trained on. The 95 % interval of the difference in the first row is {low:+.3f} to {high:+.3f}.\n\n"
        f"| | joints | champion {champion} | challenger {challenger} | difference |\n|---|---:|---:|---:|---:|\n"
        f"{table}\n\n{reasons}\n"
    )
