"""Writes training snapshots, challenges of the champion and the decisions on them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import InvalidRequest
from scoring.warehouse.engine import transaction
from scoring.warehouse.statements import statement


@dataclass(frozen=True)
class SnapshotFacts:
    """Facts of a training snapshot.

    Attributes:
        sha256: Hash of the snapshot.
        cut_off: Newest batch included.
        preprocessing_version: Version of the image preprocessing.
        n_joints: Number of joints.
        n_patients: Number of patients.
        joints_by_grade: Number of joints read as grade 0 to 5.
        excluded: Number of read joints that were excluded, by reason.
        n_discordant: Number of joints with several, different readings.
        synthetic: True if any image came from a batch of synthetic phantoms.
    """

    sha256: str
    cut_off: date
    preprocessing_version: str
    n_joints: int
    n_patients: int
    joints_by_grade: Sequence[int]
    excluded: Mapping[str, int]
    n_discordant: int
    synthetic: bool


@dataclass(frozen=True)
class ChallengeFacts:
    """Facts of a comparison of two models; NaN becomes null.

    Attributes:
        snapshot_sha256: Snapshot with the test patients.
        champion: Version of the champion.
        challenger: Version of the challenger.
        metric: Metric of the comparison.
        champion_value: Result of the champion.
        challenger_value: Result of the challenger.
        interval: 95 % interval of the difference.
        n_joints: Number of test joints.
        n_patients: Number of test patients.
        subgroups: Results by subgroup.
        candidates: Validation score of every candidate of the run, by version.
        proposed: True if the gate proposes to promote the challenger.
        reasons: Reasons of the gate, one sentence each.
    """

    snapshot_sha256: str
    champion: str
    challenger: str
    metric: str
    champion_value: float
    challenger_value: float
    interval: tuple[float, float]
    n_joints: int
    n_patients: int
    subgroups: Sequence[Mapping[str, Any]]
    candidates: Mapping[str, float]
    proposed: bool
    reasons: Sequence[str]


def record_snapshot(engine: Engine, run_id: UUID | str, facts: SnapshotFacts) -> None:
    """Record the snapshot of a retraining. A repeated step with the same snapshot changes nothing."""
    row = asdict(facts) | {
        "run_id": str(run_id),
        "joints_by_grade": list(facts.joints_by_grade),
        "excluded": json.dumps(dict(facts.excluded), sort_keys=True),
    }
    with transaction(engine) as connection:
        connection.execute(statement("record_snapshot"), row)


def record_challenge(engine: Engine, run_id: UUID | str, facts: ChallengeFacts) -> int:
    """Record a comparison, unless an earlier attempt of the step has recorded it. Returns its number."""
    figures = {
        "champion_value": facts.champion_value,
        "challenger_value": facts.challenger_value,
        "difference": facts.challenger_value - facts.champion_value,
        "difference_low": facts.interval[0],
        "difference_high": facts.interval[1],
    }
    row = asdict(facts) | {
        "run_id": str(run_id),
        **{name: None if math.isnan(value) else float(value) for name, value in figures.items()},
        "subgroups": json.dumps([dict(subgroup) for subgroup in facts.subgroups]),
        "candidates": json.dumps(dict(facts.candidates), sort_keys=True),
        "reasons": list(facts.reasons),
    }
    with transaction(engine) as connection:
        connection.execute(statement("record_challenge"), row)
        number = connection.scalar(
            sa.text(
                "SELECT challenge_id FROM scoring.challenge WHERE run_id = CAST(:run_id AS uuid)"
                " AND champion = :champion AND challenger = :challenger AND metric = :metric"
            ),
            row,
        )
    return int(number)


def check_decision(connection: Connection, challenge_id: int, decision: str) -> None:
    """Check that the opposite was not decided before.

    Raises:
        InvalidRequest: It was.
    """
    decided = connection.scalar(
        sa.text("SELECT decision FROM scoring.challenge_decision WHERE challenge_id = :challenge_id"),
        {"challenge_id": challenge_id},
    )
    if decided not in {None, decision}:
        raise InvalidRequest(
            f"Challenge {challenge_id} was {decided} before (see analyst.challenge). Retrain to compare the models "
            "again, or promote the model with `scoring promote VERSION --reason ...`."
        )


def record_decision(engine: Engine, challenge_id: int, decision: str, decided_by: str, reason: str) -> bool:
    """Record the decision on a challenge: `promoted` or `rejected`.

    Returns:
        False if the same was decided before; nothing is written then.

    Raises:
        InvalidRequest: The person or the reason is empty, or the opposite was decided before.
    """
    if not decided_by.strip() or not reason.strip():
        raise InvalidRequest("A decision needs a person and a reason. Give both.")
    with transaction(engine) as connection:
        inserted = connection.execute(
            sa.text(
                "INSERT INTO scoring.challenge_decision (challenge_id, decision, decided_by, reason)"
                " VALUES (:challenge_id, :decision, :decided_by, :reason) ON CONFLICT (challenge_id) DO NOTHING"
            ),
            {"challenge_id": challenge_id, "decision": decision, "decided_by": decided_by, "reason": reason},
        )
        check_decision(connection, challenge_id, decision)
    return inserted.rowcount == 1
