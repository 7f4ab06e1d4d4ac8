"""A synthetic registry of rheumatoid arthritis: patients, visits, radiographs, erosions, readings and disease activity.

The true erosion of every joint is known, never heals and grows with the years of disease. A reading is the truth with a
reader's error on the 5 % grid readers use. Numbers were set so that readings have the published prevalence of Ratingen
grades (67, 27, 2.5, 1, 0.6 and 1.5 % for grades 0-5) and the Rau score the published weak relation to disease activity
(Pearson r about .15 with DAS28-ESR and .08 with the three-variable DAS28-CRP).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

import numpy as np
import pandas as pd

from scoring import contract
from scoring.clinical.das28 import das28_crp, das28_esr
from scoring.clinical.joints import LEFT_HAND, REGISTRY_JOINTS, Joint
from scoring.clinical.ratingen import grade
from scoring.clinical.rau import rau_score
from scoring.contract import column_names
from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.implants import Operation
from scoring.phantom.readers import Values, read_radiograph
from scoring.phantom.seeds import stream

JOINT_COLUMNS: tuple[str, ...] = tuple(joint.column for joint in LEFT_HAND)

Limb = Literal["hand_left", "hand_right", "wrists", "feet"]
"""What a radiograph shows; one radiograph has both wrists or both feet."""

LIMB_JOINTS: dict[Limb, tuple[Joint, ...]] = {
    "hand_left": LEFT_HAND,
    "hand_right": tuple(joint for joint in REGISTRY_JOINTS if joint.column.startswith("hand_right")),
    "wrists": tuple(joint for joint in REGISTRY_JOINTS if joint.kind == "wrist"),
    "feet": tuple(joint for joint in REGISTRY_JOINTS if joint.limb == "foot"),
}

CONSULTATION_COLUMNS = column_names("consultations", required=True)
ACTIVITY_COLUMNS = tuple(column.name for column in contract.ACTIVITY_COLUMNS)

DAYS_PER_YEAR = 365.25

# Erosion in percent = exp(level + patient + joint) * (years of disease / 8) - 0.6, within 0-100. Spread in log units;
# the patient's part has heavy tails (Student t): most patients hardly erode, a few lose every joint.
_EROSION_LEVEL = -0.16
_PATIENT_SPREAD = 1.12
_PATIENT_TAIL = 5
_JOINT_SPREAD = 1.25
_JOINT_LEVEL = {"PIP": -0.05, "MCP": 0.1, "IP": -0.2, "MTP": 0.1, "wrist": 0.1}
_FAST_JOINTS = {"MCP2": 0.45, "MCP3": 0.3, "PIP3": 0.15, "MCP1": -0.25, "MTP5": 0.45}

_RADIOGRAPH_SHARE_FIRST, _RADIOGRAPH_SHARE_LATER = 0.92, 0.55
_RADIOGRAPH_READ_SHARE, _JOINT_UNREAD_SHARE = 0.88, 0.015

# A few joints are operated on for another reason than erosion. Most finger joints are fused, most knuckles replaced.
_OTHER_OPERATIONS = 0.004
_REPLACED_SHARE = {"PIP": 0.3, "MCP": 0.85, "IP": 0.05, "MTP": 0.6, "wrist": 0.2}

# How far one standard deviation of (log) damage moves each component of DAS28.
_DAMAGE_ON_JOINT_COUNTS = 0.20
_DAMAGE_ON_LOG_ESR = 0.18
_DAMAGE_ON_PATIENT_GLOBAL = 3.0


@dataclass(frozen=True)
class PhantomRegistry:
    """The frames of a synthetic registry.

    Attributes:
        patients: patient_id, first_visit, disease_years (at the first visit).
        visits: patient_id, visit_date and, without any gap, all components and das28_esr4, das28_esr3, das28_crp4,
            das28_crp3.
        consultations: One row a radiograph in the columns of the landing contract (`CONSULTATION_COLUMNS`): readings in
            percent, NaN where not read; date_y and rau_score empty where the radiograph was not read.
        disease_activity: One row a visit in the columns of the landing contract (`ACTIVITY_COLUMNS`), with gaps.
        joints: One row a joint on a radiograph: sop_iuid, patient_id, visit_date, joint, erosion_true, erosion_read and
            operation (None, prosthesis or fusion); an operated joint has neither erosion (NaN), and it stays operated.
    """

    patients: pd.DataFrame
    visits: pd.DataFrame
    consultations: pd.DataFrame
    disease_activity: pd.DataFrame
    joints: pd.DataFrame


def simulate_registry(
    n_patients: int, seed: int, first_visit: date, years: float, difficulty: Difficulty = PLAIN
) -> PhantomRegistry:
    """Simulate patients from their first visit on.

    A patient depends on the seed and on his number alone: a larger registry contains the smaller one.

    Args:
        n_patients: 1 to 99,999.
        seed: 0 or more.
        first_visit: No visit is before this day.
        years: No visit and no reading is later than this many years after it.
        difficulty: How readers err and how many joints are operated on; patients and erosions do not depend on it.

    Returns:
        The registry, patients in the order of their ids, visits in the order of their dates.

    Raises:
        InvalidRequest: n_patients or years are out of range.
    """
    setting = _setting(n_patients, seed, first_visit, years, difficulty)
    patients = [_simulate_patient(number, setting) for number in range(1, n_patients + 1)]
    visits = pd.DataFrame([row for patient in patients for row in patient.visits])
    visits = _with_das28(visits)
    radiographs = pd.DataFrame(
        [row for patient in patients for row in patient.consultations], columns=CONSULTATION_COLUMNS[:6]
    )
    joints = _joint_rows([radiograph for patient in patients for radiograph in patient.radiographs], LEFT_HAND)
    return PhantomRegistry(
        patients=pd.DataFrame([patient.row for patient in patients]),
        visits=visits.drop(columns=["u_bsr", "u_crp3"]),
        consultations=_consultations(radiographs, joints),
        disease_activity=_with_gaps(visits, seed),
        joints=joints,
    )


def simulate_radiographs(
    n_patients: int, seed: int, first_visit: date, years: float, *, limb: Limb, difficulty: Difficulty = PLAIN
) -> pd.DataFrame:
    """Simulate radiographs of one limb of the registry's patients: their visits and how fast they erode are the registry's.

    Args:
        n_patients: As for `simulate_registry`, like all that follows but the limb.
        seed: Seed of the registry.
        first_visit: No visit is before this day.
        years: No visit and no reading is later than this many years after it.
        limb: What the radiographs show.
        difficulty: How readers err and how many joints are operated on.

    Returns:
        One row a joint on a radiograph, as `PhantomRegistry.joints`; for the left hand it is the same frame.

    Raises:
        InvalidRequest: n_patients or years are out of range.
    """
    if limb == "hand_left":
        return simulate_registry(n_patients, seed, first_visit, years, difficulty).joints
    setting = _setting(n_patients, seed, first_visit, years, difficulty)
    radiographs = [
        radiograph for number in range(1, n_patients + 1) for radiograph in _simulate_radiographs(number, setting, limb)
    ]
    return _joint_rows(radiographs, LIMB_JOINTS[limb])


@dataclass(frozen=True)
class _Setting:
    seed: int
    first_visit: date
    last_day: date
    difficulty: Difficulty


def _setting(n_patients: int, seed: int, first_visit: date, years: float, difficulty: Difficulty) -> _Setting:
    if not 1 <= n_patients <= 99_999:
        raise InvalidRequest(f"n_patients is {n_patients}; patient ids have five digits, so it must lie in 1-99999.")
    if years <= 0:
        raise InvalidRequest(f"years is {years}; a registry needs a span greater than 0.")
    return _Setting(seed, first_visit, first_visit + timedelta(days=int(years * DAYS_PER_YEAR)), difficulty)


@dataclass(frozen=True)
class _Course:
    """When a patient comes, and how fast his joints erode."""

    patient_id: str
    entry: date
    disease_years: float
    days: list[int]
    """Of each visit, counted from the first one."""
    severity: float
    """How much faster than usual all his joints erode, log units."""

    def visit_date(self, visit: int) -> date:
        return self.entry + timedelta(days=self.days[visit])

    def erosion(self, rates: Values, visit: int) -> Values:
        """True erosion of each joint at a visit, in percent."""
        years = self.disease_years + self.days[visit] / DAYS_PER_YEAR
        return np.asarray(np.clip(rates * years / 8 - 0.6, 0, 100), dtype=np.float64)


def _course(number: int, setting: _Setting) -> tuple[_Course, np.random.Generator]:
    """A patient's course, and his random stream after that."""
    patient_id = f"{number:05d}"
    rng = stream(setting.seed, "patient", patient_id)
    span = (setting.last_day - setting.first_visit).days
    entry = setting.first_visit + timedelta(days=int(rng.uniform(0, 0.5) * span))
    disease_years = float(rng.gamma(1.3, 6.0)) + 0.3
    days = _visit_days(rng, (setting.last_day - entry).days)
    severity = _PATIENT_SPREAD * float(rng.standard_t(_PATIENT_TAIL))
    return _Course(patient_id, entry, disease_years, days, severity), rng


@dataclass(frozen=True)
class _Radiograph:
    sop_iuid: str
    patient_id: str
    visit_date: date
    read_on: date | None
    erosion_true: Values
    erosion_read: Values
    operations: list[Operation | None]


@dataclass(frozen=True)
class _Patient:
    row: dict[str, object]
    visits: list[dict[str, object]]
    consultations: list[dict[str, object]]
    radiographs: list[_Radiograph]


def _simulate_patient(number: int, setting: _Setting) -> _Patient:
    course, rng = _course(number, setting)
    rates = _erosion_rates(LEFT_HAND, course.severity, rng)
    level = float(rng.normal(0, 0.75))

    visits: list[dict[str, object]] = []
    consultations: list[dict[str, object]] = []
    radiographs: list[_Radiograph] = []
    for visit in range(len(course.days)):
        visit_rng = stream(setting.seed, "visit", course.patient_id, str(visit))
        visit_date = course.visit_date(visit)
        truth = course.erosion(rates, visit)
        visits.append({"patient_id": course.patient_id, "visit_date": visit_date, **_activity(visit_rng, level, truth)})
        if visit_rng.random() < (_RADIOGRAPH_SHARE_FIRST if visit == 0 else _RADIOGRAPH_SHARE_LATER):
            radiograph = _radiograph(setting, course, visit, rates, "hand_left", rng=visit_rng)
            radiographs.append(radiograph)
            consultations.append(
                {
                    "id_x": str(number * 1000 + visit),
                    "patient_id": course.patient_id,
                    "date_x": visit_date,
                    "date_y": radiograph.read_on,
                    "sop_iuid": radiograph.sop_iuid,
                    "body_part": "HAND_LEFT" if visit_rng.random() < 0.85 else "HAND_BOTH",
                }
            )
    row = {"patient_id": course.patient_id, "first_visit": course.entry, "disease_years": course.disease_years}
    return _Patient(row, visits, consultations, radiographs)


def _simulate_radiographs(number: int, setting: _Setting, limb: Limb) -> list[_Radiograph]:
    """A patient's radiographs of a limb other than the left hand."""
    course, _ = _course(number, setting)
    joints = LIMB_JOINTS[limb]
    rates = _erosion_rates(joints, course.severity, stream(setting.seed, "rates", course.patient_id, limb))
    radiographs = []
    for visit in range(len(course.days)):
        rng = stream(setting.seed, "visit", course.patient_id, str(visit), limb)
        if rng.random() < (_RADIOGRAPH_SHARE_FIRST if visit == 0 else _RADIOGRAPH_SHARE_LATER):
            radiographs.append(_radiograph(setting, course, visit, rates, limb, rng=rng))
    return radiographs


def _radiograph(
    setting: _Setting, course: _Course, visit: int, rates: Values, limb: Limb, *, rng: np.random.Generator
) -> _Radiograph:
    """The radiograph of a visit: what is there, and what its reader writes down."""
    sop_iuid = _radiograph_uid(setting.seed, course.patient_id, visit, limb)
    truth = course.erosion(rates, visit)
    operations = _operations(setting, course.patient_id, limb, truth)
    own = np.array([operation is None for operation in operations])
    read = np.where(own, read_radiograph(truth, rng, setting.seed, sop_iuid, setting.difficulty), np.nan)
    visit_date = course.visit_date(visit)
    read, read_on = _written_down(read, rng, visit_date, setting.last_day)
    return _Radiograph(sop_iuid, course.patient_id, visit_date, read_on, np.where(own, truth, np.nan), read, operations)


def _joint_rows(radiographs: list[_Radiograph], joints: tuple[Joint, ...]) -> pd.DataFrame:
    """One row a joint on a radiograph."""
    return pd.DataFrame(
        {
            "sop_iuid": [radiograph.sop_iuid for radiograph in radiographs for _ in joints],
            "patient_id": [radiograph.patient_id for radiograph in radiographs for _ in joints],
            "visit_date": [radiograph.visit_date for radiograph in radiographs for _ in joints],
            "joint": [joint.column for joint in joints] * len(radiographs),
            "erosion_true": _joined([radiograph.erosion_true for radiograph in radiographs]),
            "erosion_read": _joined([radiograph.erosion_read for radiograph in radiographs]),
            "operation": [operation for radiograph in radiographs for operation in radiograph.operations],
        }
    )


def _visit_days(rng: np.random.Generator, available: int) -> list[int]:
    """Days of the visits since the first one: every 6 to 12 months until the patient leaves or the registry ends."""
    gaps = rng.integers(170, 390, size=available // 170 + 1)
    days = np.concatenate([[0], np.cumsum(gaps)])
    stays = int(rng.exponential(9 * DAYS_PER_YEAR)) + 200
    return [int(day) for day in days[(days <= available) & (days <= stays)]]


def _erosion_rates(joints: tuple[Joint, ...], severity: float, rng: np.random.Generator) -> Values:
    """Percent of erosion after eight years of disease, one a joint."""
    usual = np.array([_JOINT_LEVEL[joint.kind] + _FAST_JOINTS.get(joint.name, 0.0) for joint in joints])
    logs = _EROSION_LEVEL + severity + usual + _JOINT_SPREAD * rng.standard_normal(len(joints))
    return np.asarray(np.exp(np.minimum(logs, 12.0)), dtype=np.float64)


def _activity(rng: np.random.Generator, level: float, erosion: Values) -> dict[str, float]:
    """Components of DAS28 at one visit, in the units of the formulas, and how two scores are lost (`u_...`)."""
    damage = (np.log1p(erosion.sum()) - 2.7) / 1.6
    active = level + rng.normal(0, 0.75)
    counts = active + _DAMAGE_ON_JOINT_COUNTS * damage
    patient_global = 32 + 17 * active + _DAMAGE_ON_PATIENT_GLOBAL * damage + rng.normal(0, 14)
    return {
        "physician_global_disease_activity": float(np.clip(np.rint(24 + 16 * active + rng.normal(0, 10)), 0, 100)),
        "global_patient_estimate_disease_activity": float(np.clip(np.rint(patient_global), 0, 100)),
        "swollen_28": float(np.clip(rng.poisson(np.exp(0.75 + 0.75 * counts + rng.normal(0, 0.5))), 0, 28)),
        "tender_28": float(np.clip(rng.poisson(np.exp(0.85 + 0.75 * counts + rng.normal(0, 0.6))), 0, 28)),
        "esr": float(
            np.clip(np.rint(np.exp(rng.normal(2.55 + 0.3 * active + _DAMAGE_ON_LOG_ESR * damage, 0.65))), 1, 140)
        ),
        "crp": float(np.clip(np.round(np.exp(rng.normal(1.1 + 0.45 * active, 0.9)), 1), 0.1, 250)),
        "u_bsr": float(rng.random()),
        "u_crp3": float(rng.random()),
    }


def _with_das28(visits: pd.DataFrame) -> pd.DataFrame:
    tender, swollen = visits["tender_28"].to_numpy(), visits["swollen_28"].to_numpy()
    esr, crp = visits["esr"].to_numpy(), visits["crp"].to_numpy()
    patient_global = visits["global_patient_estimate_disease_activity"].to_numpy()
    return visits.assign(
        das28_esr4=das28_esr(tender, swollen, esr, patient_global),
        das28_esr3=das28_esr(tender, swollen, esr),
        das28_crp4=das28_crp(tender, swollen, crp, patient_global),
        das28_crp3=das28_crp(tender, swollen, crp),
    )


def _with_gaps(visits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The landed form: scores without their components, components without a score, whole assessments missing."""
    landed = pd.DataFrame(
        {
            "patient_id": visits["patient_id"],
            "date": visits["visit_date"],
            "physician_global_disease_activity": visits["physician_global_disease_activity"],
            "global_patient_estimate_disease_activity": visits["global_patient_estimate_disease_activity"],
            "das28bsr_score": visits["das28_esr4"].round(2).where(visits["u_bsr"] < 0.78),
            "das283crp_score": visits["das28_crp3"].round(2).where(visits["u_crp3"] < 0.66),
            "swollen_28": visits["swollen_28"],
            "tender_28": visits["tender_28"],
            "esr": visits["esr"],
            "crp": visits["crp"],
        }
    )
    shares = {
        "physician_global_disease_activity": 0.12,
        "global_patient_estimate_disease_activity": 0.15,
        "swollen_28": 0.2,
        "tender_28": 0.2,
        "esr": 0.3,
        "crp": 0.35,
    }
    for column, share in shares.items():
        lost = [
            stream(seed, "gap", column, patient, str(day)).random() < share
            for patient, day in zip(landed["patient_id"], landed["date"], strict=True)
        ]
        landed.loc[lost, column] = np.nan
    return landed[list(ACTIVITY_COLUMNS)]


def _operations(setting: _Setting, patient_id: str, limb: Limb, truth: Values) -> list[Operation | None]:
    """How each joint was operated on by now; since nothing heals, an operated joint stays operated."""
    share = setting.difficulty.operated
    if not share:
        return [None] * len(truth)
    operations: list[Operation | None] = []
    chances = _operation_chances(setting.seed, patient_id, limb)
    for joint, erosion, (limit, chosen, other, replaced) in zip(
        LIMB_JOINTS[limb], truth.tolist(), chances, strict=True
    ):
        damaged = chosen < share and erosion >= 50 + 50 * limit
        if not damaged and other >= _OTHER_OPERATIONS * share:
            operations.append(None)
        else:
            operations.append("prosthesis" if replaced < _REPLACED_SHARE[joint.kind] else "fusion")
    return operations


@lru_cache(maxsize=1)
def _operation_chances(seed: int, patient_id: str, limb: Limb) -> list[list[float]]:
    """For each joint: how badly eroded it must be, and by what chances it is then operated on; once for all radiographs."""
    return [stream(seed, "operation", patient_id, joint.column).random(4).tolist() for joint in LIMB_JOINTS[limb]]


def _written_down(
    read: Values, rng: np.random.Generator, visit_date: date, last_day: date
) -> tuple[Values, date | None]:
    """Readings of a radiograph's joints, and when they were made; all NaN and None for a radiograph that nobody has read."""
    read[rng.random(len(read)) < _JOINT_UNREAD_SHARE] = np.nan
    delay = int(rng.exponential(20)) if rng.random() < 0.8 else int(rng.exponential(900))
    read_on = visit_date + timedelta(days=delay)
    if rng.random() >= _RADIOGRAPH_READ_SHARE or read_on > last_day or np.isnan(read).all():
        return np.full(len(read), np.nan), None
    return read, read_on


def _consultations(radiographs: pd.DataFrame, joints: pd.DataFrame) -> pd.DataFrame:
    readings = joints["erosion_read"].to_numpy().reshape(len(radiographs), len(JOINT_COLUMNS))
    rau = np.asarray(rau_score(grade(readings)), dtype=np.float64)
    wide = pd.concat([radiographs, pd.DataFrame(readings, columns=list(JOINT_COLUMNS))], axis=1)
    return wide.assign(rau_score=np.round(rau, 2))[list(CONSULTATION_COLUMNS)]


def _joined(radiographs: list[Values]) -> Values:
    return np.concatenate([np.zeros(0), *radiographs])


def _radiograph_uid(seed: int, patient_id: str, visit: int, limb: Limb) -> str:
    """A DICOM UID under the root of UUIDs (2.25), as PS3.5 B.2 gives to anybody without a root of his own."""
    radiograph = f"{seed}/{patient_id}/{visit}" + ("" if limb == "hand_left" else f"/{limb}")
    digest = blake2b(radiograph.encode(), digest_size=16).digest()
    return f"2.25.{int.from_bytes(digest)}"
