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
from scoring.warehouse.statements import insert


@dataclass(frozen=True)
class SnapshotFacts:
    """Facts of a training snapshot; the comments of `scoring.training_snapshot` explain them."""

    sha256: str
    cut_off: date
    preprocessing_version: str
    n_joints: int
    n_patients: int
    joints_by_grade: list[int]
    excluded: Mapping[str, int]
    n_discordant: int
    synthetic: bool


@dataclass(frozen=True)
class ChallengeFacts:
    """Facts of a comparison of two models; the comments of `scoring.challenge` explain them. NaN becomes null.

    Attributes:
        interval: 95 % interval of the difference, challenger minus champion.
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
    reasons: list[str]


def record_snapshot(engine: Engine, run_id: UUID | str, facts: SnapshotFacts) -> None:
    """Record the snapshot of a retraining. A repeated step with the same snapshot changes nothing."""
    row = asdict(facts) | {"run_id": run_id, "excluded": json.dumps(facts.excluded, sort_keys=True)}
    row["snapshot_sha256"] = row.pop("sha256")
    with transaction(engine) as connection:
        insert(connection, "scoring.training_snapshot", row, keep_existing=True)


def record_challenge(engine: Engine, run_id: UUID | str, facts: ChallengeFacts) -> int:
    """Record a comparison, unless an earlier attempt of the step has recorded it. Returns its number."""
    low, high = facts.interval
    figures = {
        "champion_value": facts.champion_value,
        "challenger_value": facts.challenger_value,
        "difference": facts.challenger_value - facts.champion_value,
        "difference_low": low,
        "difference_high": high,
    }
    row = asdict(facts) | {
        "run_id": run_id,
        **{name: None if math.isnan(value) else float(value) for name, value in figures.items()},
        "subgroups": json.dumps(facts.subgroups),
        "candidates": json.dumps(facts.candidates, sort_keys=True),
    }
    del row["interval"]
    with transaction(engine) as connection:
        insert(connection, "scoring.challenge", row, keep_existing=True)
        number = connection.scalar(
            sa.text(
                "SELECT challenge_id FROM scoring.challenge WHERE run_id = :run_id AND champion = :champion"
                " AND challenger = :challenger AND metric = :metric"
            ),
            row,
        )
    return int(number)


def check_decision(connection: Connection, challenge_id: int, decision: str) -> None:
    """Check that the opposite was not decided before.

    Raises:
        InvalidRequest: It was.
    """
    query = sa.text("SELECT decision FROM scoring.challenge_decision WHERE challenge_id = :challenge_id")
    decided = connection.scalar(query, {"challenge_id": challenge_id})
    if decided not in {None, decision}:
        raise InvalidRequest(
            f"Challenge {challenge_id} was already {decided} (see analyst.challenge). Retrain to compare the models "
            "again, or promote the model with `scoring promote VERSION --reason ...`."
        )


def record_decision(engine: Engine, challenge_id: int, decision: str, decided_by: str, reason: str) -> None:
    """Record the decision on a challenge: `promoted` or `rejected`. The same decision is recorded only once.

    Raises:
        InvalidRequest: The person or the reason is empty, or the opposite was decided before.
    """
    if not decided_by.strip() or not reason.strip():
        raise InvalidRequest("A decision needs a person and a reason. Give both.")
    row = {"challenge_id": challenge_id, "decision": decision, "decided_by": decided_by, "reason": reason}
    with transaction(engine) as connection:
        insert(connection, "scoring.challenge_decision", row, keep_existing=True)
        check_decision(connection, challenge_id, decision)
