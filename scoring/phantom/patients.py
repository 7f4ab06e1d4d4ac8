"""Synthetic patients: their visits, the progression of their erosions, operations and radiographs.

Erosion in percent = exp(level + patient + joint) * (years of disease / 8) - 0.6, within 0 to 100. It never heals. The
parameters reproduce the published prevalence of Ratingen grades: 67, 27, 2.5, 1, 0.6 and 1.5 percent for grades 0 to 5.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

import numpy as np

from scoring.clinical.joints import LEFT_HAND, REGISTRY_JOINTS, Joint
from scoring.phantom.confounders import Operation
from scoring.phantom.difficulty import Difficulty
from scoring.phantom.readers import Values, read_radiograph
from scoring.phantom.seeds import Rng, stream

DAYS_PER_YEAR = 365.25

Limb = Literal["hand_left", "hand_right", "wrists", "feet"]
"""Content of a radiograph; one radiograph shows both wrists or both feet."""

LIMB_JOINTS: dict[Limb, tuple[Joint, ...]] = {
    "hand_left": LEFT_HAND,
    "hand_right": tuple(joint for joint in REGISTRY_JOINTS if joint.column.startswith("hand_right")),
    "wrists": tuple(joint for joint in REGISTRY_JOINTS if joint.kind == "wrist"),
    "feet": tuple(joint for joint in REGISTRY_JOINTS if joint.limb == "foot"),
}

# Log units. The patient's part has heavy tails (Student t): most patients hardly erode, a few lose every joint.
_EROSION_LEVEL = -0.16
_PATIENT_SPREAD = 1.12
_PATIENT_TAIL = 5
_JOINT_SPREAD = 1.25
_JOINT_LEVEL = {"PIP": -0.05, "MCP": 0.1, "IP": -0.2, "MTP": 0.1, "wrist": 0.1}
_FAST_JOINTS = {"MCP2": 0.45, "MCP3": 0.3, "PIP3": 0.15, "MCP1": -0.25, "MTP5": 0.45}

_RADIOGRAPH_SHARE_FIRST, _RADIOGRAPH_SHARE_LATER = 0.92, 0.55
_RADIOGRAPH_READ_SHARE, _JOINT_UNREAD_SHARE = 0.88, 0.015

# A few joints are operated on for other reasons than erosion. Most finger joints are fused, most MCP joints replaced.
_OTHER_OPERATIONS = 0.004
_REPLACED_SHARE = {"PIP": 0.3, "MCP": 0.85, "IP": 0.05, "MTP": 0.6, "wrist": 0.2}


@dataclass(frozen=True)
class Simulation:
    """Seed, period and difficulty of a synthetic registry."""

    seed: int
    first_visit: date
    last_day: date
    difficulty: Difficulty


@dataclass(frozen=True)
class Patient:
    """Visits of a patient, and how fast their joints erode.

    `disease_years` is the duration of the disease at the first visit, and `days` has the day of each visit since then.
    `severity` is the log of the patient's rate of erosion relative to the usual one.
    """

    patient_id: str
    entry: date
    disease_years: float
    days: list[int]
    severity: float

    def visit_date(self, visit: int) -> date:
        """Return the date of a visit, counted from 0."""
        return self.entry + timedelta(days=self.days[visit])

    def erosion(self, rates: Values, visit: int) -> Values:
        """Return the true erosion of each joint at a visit, in percent."""
        years = self.disease_years + self.days[visit] / DAYS_PER_YEAR
        return np.asarray(np.clip(rates * years / 8 - 0.6, 0, 100), dtype=np.float64)


@dataclass(frozen=True)
class Radiograph:
    """True erosions, readings and operations of the joints on one radiograph; `read_on` is None if it was not read."""

    sop_iuid: str
    patient_id: str
    visit_date: date
    read_on: date | None
    erosion_read: Values
    erosion_true: Values
    operations: list[Operation | None]


def draw_patient(number: int, simulation: Simulation) -> tuple[Patient, Rng]:
    """Return a patient, and the generator of their further features."""
    patient_id = f"{number:05d}"
    rng = stream(simulation.seed, "patient", patient_id)
    span = (simulation.last_day - simulation.first_visit).days
    entry = simulation.first_visit + timedelta(days=int(rng.uniform(0, 0.5) * span))
    disease_years = float(rng.gamma(1.3, 6.0)) + 0.3
    days = _visit_days(rng, (simulation.last_day - entry).days)
    severity = _PATIENT_SPREAD * float(rng.standard_t(_PATIENT_TAIL))
    return Patient(patient_id, entry, disease_years, days, severity), rng


def _visit_days(rng: Rng, available: int) -> list[int]:
    """Return days every 6 to 12 months, until the patient leaves or the registry ends."""
    gaps = rng.integers(170, 390, size=available // 170 + 1)
    days = np.concatenate([[0], np.cumsum(gaps)])
    stays = int(rng.exponential(9 * DAYS_PER_YEAR)) + 200
    return [int(day) for day in days[(days <= available) & (days <= stays)]]


def erosion_rates(joints: tuple[Joint, ...], severity: float, rng: Rng) -> Values:
    """Return the percentage of erosion after eight years of disease for each joint."""
    usual = np.array([_JOINT_LEVEL[joint.kind] + _FAST_JOINTS.get(joint.name, 0.0) for joint in joints])
    logs = _EROSION_LEVEL + severity + usual + _JOINT_SPREAD * rng.standard_normal(len(joints))
    return np.asarray(np.exp(np.minimum(logs, 12.0)), dtype=np.float64)


def draw_radiograph(
    simulation: Simulation, patient: Patient, visit: int, limb: Limb, *, rates: Values, rng: Rng
) -> Radiograph | None:
    """Draw the radiograph of a limb at a visit with its reading; None if the visit has no radiograph."""
    if rng.random() >= (_RADIOGRAPH_SHARE_FIRST if visit == 0 else _RADIOGRAPH_SHARE_LATER):
        return None
    key = f"{simulation.seed}/{patient.patient_id}/{visit}" + ("" if limb == "hand_left" else f"/{limb}")
    # A DICOM UID under the root of UUIDs (2.25), which is open to all by PS3.5 B.2.
    sop_iuid = f"2.25.{int.from_bytes(blake2b(key.encode(), digest_size=16).digest())}"
    truth = patient.erosion(rates, visit)
    operations = _operations(simulation, patient.patient_id, limb, truth)
    native = np.array([operation is None for operation in operations])
    read = np.where(native, read_radiograph(truth, rng, simulation.seed, sop_iuid, simulation.difficulty), np.nan)
    read[rng.random(len(read)) < _JOINT_UNREAD_SHARE] = np.nan
    visit_date = patient.visit_date(visit)
    delay = int(rng.exponential(20)) if rng.random() < 0.8 else int(rng.exponential(900))
    read_on = visit_date + timedelta(days=delay)
    is_read = rng.random() < _RADIOGRAPH_READ_SHARE and read_on <= simulation.last_day and not np.isnan(read).all()
    if not is_read:
        read[:] = np.nan
    truth = np.where(native, truth, np.nan)
    return Radiograph(sop_iuid, patient.patient_id, visit_date, read_on if is_read else None, read, truth, operations)


def _operations(simulation: Simulation, patient_id: str, limb: Limb, truth: Values) -> list[Operation | None]:
    """Return the operation of each joint so far. Erosion never heals, so an operated joint stays operated."""
    share = simulation.difficulty.operated
    if not share:
        return [None] * len(truth)
    limit, chosen, other, kind = _operation_chances(simulation.seed, patient_id, limb)
    operated = ((chosen < share) & (truth >= 50 + 50 * limit)) | (other < _OTHER_OPERATIONS * share)
    replaced = kind < np.array([_REPLACED_SHARE[joint.kind] for joint in LIMB_JOINTS[limb]])
    return [
        ("prosthesis" if is_replaced else "fusion") if is_operated else None
        for is_operated, is_replaced in zip(operated, replaced, strict=True)
    ]


@lru_cache(maxsize=1)
def _operation_chances(seed: int, patient_id: str, limb: Limb) -> Values:
    """Draw the critical damage of each joint and three chances of its operation, for all radiographs: (4, joints)."""
    return np.array([stream(seed, "operation", patient_id, joint.column).random(4) for joint in LIMB_JOINTS[limb]]).T
