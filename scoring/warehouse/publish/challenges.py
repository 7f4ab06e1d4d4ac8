"""Challenges of the champion: what was compared, what the gate said, and who decided."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import InvalidRequest
from scoring.warehouse.engine import transaction


@dataclass(frozen=True)
class ChallengeFacts:
    """A comparison as it is written down; NaN becomes null.

    Attributes:
        snapshot_sha256: The snapshot whose test patients both were judged on.
        champion: Version of the model that nights are scored with.
        challenger: Version of the candidate.
        metric: What they were compared by.
        champion_value: The champion's value.
        challenger_value: The challenger's value.
        interval: 95 % interval of the difference.
        n_joints: Test joints.
        n_patients: Test patients.
        subgroups: One mapping for each subgroup.
        candidates: Validation score of every candidate of the run, by version.
        proposed: Whether the gate proposes the challenger.
        reasons: Why, in sentences.
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


def record_challenge(engine: Engine, run_id: UUID | str, facts: ChallengeFacts) -> int:
    """Write down a comparison. A step that is tried again finds the one it wrote first.

    Returns:
        The challenge's number.
    """
    low, high = facts.interval
    row = {
        "run_id": str(run_id),
        "snapshot_sha256": facts.snapshot_sha256,
        "champion": facts.champion,
        "challenger": facts.challenger,
        "metric": facts.metric,
        "champion_value": _or_null(facts.champion_value),
        "challenger_value": _or_null(facts.challenger_value),
        "difference": _or_null(facts.challenger_value - facts.champion_value),
        "difference_low": _or_null(low),
        "difference_high": _or_null(high),
        "n_joints": facts.n_joints,
        "n_patients": facts.n_patients,
        "subgroups": json.dumps([dict(each) for each in facts.subgroups]),
        "candidates": json.dumps(dict(facts.candidates), sort_keys=True),
        "proposed": facts.proposed,
        "reasons": list(facts.reasons),
    }
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO scoring.challenge (run_id, snapshot_sha256, champion, challenger, metric, champion_value,"
                " challenger_value, difference, difference_low, difference_high, n_joints, n_patients, subgroups,"
                " candidates, proposed, reasons)"
                " VALUES (:run_id, :snapshot_sha256, :champion, :challenger, :metric, :champion_value,"
                " :challenger_value, :difference, :difference_low, :difference_high, :n_joints, :n_patients,"
                " CAST(:subgroups AS jsonb), CAST(:candidates AS jsonb), :proposed, :reasons)"
                " ON CONFLICT (run_id, champion, challenger, metric) DO NOTHING"
            ),
            row,
        )
        number = connection.scalar(
            sa.text(
                "SELECT challenge_id FROM scoring.challenge WHERE run_id = CAST(:run_id AS uuid)"
                " AND champion = :champion AND challenger = :challenger AND metric = :metric"
            ),
            row,
        )
    return int(number)


def check_decision(source: Engine | Connection, challenge_id: int, decision: str) -> None:
    """Refuse to turn a decision round.

    Raises:
        InvalidRequest: The opposite was decided before.
    """
    if isinstance(source, Engine):
        with transaction(source) as connection:
            return check_decision(connection, challenge_id, decision)
    decided = source.scalar(
        sa.text("SELECT decision FROM scoring.challenge_decision WHERE challenge_id = :challenge_id"),
        {"challenge_id": challenge_id},
    )
    if decided not in {None, decision}:
        raise InvalidRequest(
            f"Challenge {challenge_id} was {decided} before, see analyst.challenge: retrain again, so that the question"
            " is asked anew, or promote the model by `scoring promote VERSION --reason ...`."
        )
    return None


def record_decision(engine: Engine, challenge_id: int, decision: str, decided_by: str, reason: str) -> bool:
    """Write down what was decided on a challenge: `promoted` or `refused`.

    Returns:
        False if the same was decided before; nothing is written then.

    Raises:
        InvalidRequest: Nobody or no reason is named, or the opposite was decided before.
    """
    if not decided_by.strip() or not reason.strip():
        raise InvalidRequest("A decision needs a person and a reason.")
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


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


@dataclass(frozen=True)
class SnapshotFacts:
    """What the warehouse keeps of a training snapshot.

    Attributes:
        sha256: Hash of the set.
        cut_off: Newest landing folder whose images and readings were taken.
        preprocessing_version: How bytes became pixels.
        n_joints: Joints in the set.
        n_patients: Patients behind them.
        joints_by_grade: Joints read as grade 0 to 5.
        excluded: Read joints that were left out, by reason.
        n_discordant: Joints of the set that were read more than once, with different values.
        synthetic: Whether any image came from a folder of synthetic phantoms.
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


def record_snapshot(engine: Engine, run_id: UUID | str, facts: SnapshotFacts) -> None:
    """Write down which snapshot a retraining took. A step that is tried again and finds the same changes nothing."""
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO scoring.training_snapshot (run_id, snapshot_sha256, cut_off, preprocessing_version,"
                " n_joints, n_patients, joints_by_grade, excluded, n_discordant, synthetic)"
                " VALUES (:run_id, :sha256, :cut_off, :preprocessing_version, :n_joints, :n_patients,"
                " :joints_by_grade, CAST(:excluded AS jsonb), :n_discordant, :synthetic)"
                " ON CONFLICT (run_id, snapshot_sha256) DO NOTHING"
            ),
            {
                "run_id": str(run_id),
                "sha256": facts.sha256,
                "cut_off": facts.cut_off,
                "preprocessing_version": facts.preprocessing_version,
                "n_joints": facts.n_joints,
                "n_patients": facts.n_patients,
                "joints_by_grade": list(facts.joints_by_grade),
                "excluded": json.dumps(dict(facts.excluded), sort_keys=True),
                "n_discordant": facts.n_discordant,
                "synthetic": facts.synthetic,
            },
        )
