"""A synthetic registry of rheumatoid arthritis: patients, visits, films, erosions, readings and disease activity.

The true erosion of every joint is known, never heals and grows with the years of disease. A reading is the truth with a
reader's error on the 5 % grid readers use. Numbers were set so that readings have the published prevalence of Ratingen
grades (67, 27, 2.5, 1, 0.6 and 1.5 % for grades 0-5) and the Rau score the published weak relation to disease activity
(Pearson r about .15 with DAS28-ESR and .08 with the three-variable DAS28-CRP).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.clinical.das28 import das28_crp, das28_esr
from scoring.clinical.joints import LEFT_HAND
from scoring.clinical.ratingen import grade
from scoring.clinical.rau import rau_score
from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.implants import Operation
from scoring.phantom.readers import Values, read_film
from scoring.phantom.seeds import stream

JOINT_COLUMNS: tuple[str, ...] = tuple(joint.column for joint in LEFT_HAND)
CONSULTATION_COLUMNS: tuple[str, ...] = (
    "id_x",
    "patient_id",
    "date_x",
    "date_y",
    "sop_iuid",
    "body_part",
    *JOINT_COLUMNS,
    "rau_score",
)
ACTIVITY_COLUMNS: tuple[str, ...] = (
    "patient_id",
    "date",
    "physician_global_disease_activity",
    "global_patient_estimate_disease_activity",
    "das28bsr_score",
    "das283crp_score",
    "swollen_28",
    "tender_28",
    "esr",
    "crp",
)

DAYS_PER_YEAR = 365.25

# Erosion in percent = exp(level + patient + joint) * (years of disease / 8) - 0.6, within 0-100. Spread in log units;
# the patient's part has heavy tails (Student t): most patients hardly erode, a few lose every joint.
_EROSION_LEVEL = -0.16
_PATIENT_SPREAD = 1.12
_PATIENT_TAIL = 5
_JOINT_SPREAD = 1.25
_JOINT_LEVEL = {"PIP": -0.05, "MCP": 0.1, "IP": -0.2}
_FAST_JOINTS = {"MCP2": 0.45, "MCP3": 0.3, "PIP3": 0.15, "MCP1": -0.25}

_FILM_SHARE_FIRST, _FILM_SHARE_LATER = 0.92, 0.55
_FILM_READ_SHARE, _JOINT_UNREAD_SHARE = 0.88, 0.015

# Some joints are operated on for another reason than erosion; most finger joints are fused, most knuckles replaced.
_OTHER_OPERATIONS = 0.004
_REPLACED_SHARE = {"PIP": 0.3, "MCP": 0.85, "IP": 0.05}

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
        consultations: One row a film in the columns of the landing contract (`CONSULTATION_COLUMNS`): readings in
            percent, NaN where not read; date_y and rau_score empty where the film was not read.
        disease_activity: One row a visit in the columns of the landing contract (`ACTIVITY_COLUMNS`), with gaps.
        joints: One row a joint on a film: sop_iuid, patient_id, visit_date, joint, erosion_true, erosion_read and
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
    if not 1 <= n_patients <= 99_999:
        raise InvalidRequest(f"n_patients is {n_patients}; patient ids have five digits, so it must lie in 1-99999.")
    if years <= 0:
        raise InvalidRequest(f"years is {years}; a registry needs a span greater than 0.")
    last_day = first_visit + timedelta(days=int(years * DAYS_PER_YEAR))
    patients = [
        _simulate_patient(number, seed, first_visit, last_day, difficulty) for number in range(1, n_patients + 1)
    ]
    visits = pd.DataFrame([row for patient in patients for row in patient.visits])
    visits = _with_das28(visits)
    films = pd.DataFrame([row for patient in patients for row in patient.films], columns=CONSULTATION_COLUMNS[:6])
    joints = pd.DataFrame(
        {
            "sop_iuid": films["sop_iuid"].repeat(len(JOINT_COLUMNS)).to_numpy(),
            "patient_id": films["patient_id"].repeat(len(JOINT_COLUMNS)).to_numpy(),
            "visit_date": films["date_x"].repeat(len(JOINT_COLUMNS)).to_numpy(),
            "joint": list(JOINT_COLUMNS) * len(films),
            "erosion_true": _joined([truth for patient in patients for truth in patient.erosion_true]),
            "erosion_read": _joined([read for patient in patients for read in patient.erosion_read]),
            "operation": [operation for patient in patients for film in patient.operations for operation in film],
        }
    )
    return PhantomRegistry(
        patients=pd.DataFrame([patient.row for patient in patients]),
        visits=visits.drop(columns=["u_bsr", "u_crp3"]),
        consultations=_consultations(films, joints),
        disease_activity=_with_gaps(visits, seed),
        joints=joints,
    )


@dataclass(frozen=True)
class _Patient:
    row: dict[str, object]
    visits: list[dict[str, object]]
    films: list[dict[str, object]]
    erosion_true: list[Values]
    erosion_read: list[Values]
    operations: list[list[Operation | None]]


def _simulate_patient(number: int, seed: int, first_visit: date, last_day: date, difficulty: Difficulty) -> _Patient:
    patient_id = f"{number:05d}"
    rng = stream(seed, "patient", patient_id)
    span = (last_day - first_visit).days
    entry = first_visit + timedelta(days=int(rng.uniform(0, 0.5) * span))
    disease_years = float(rng.gamma(1.3, 6.0)) + 0.3
    days = _visit_days(rng, (last_day - entry).days)
    rate = _erosion_rates(rng)
    level = float(rng.normal(0, 0.75))

    visits: list[dict[str, object]] = []
    films: list[dict[str, object]] = []
    truths: list[Values] = []
    readings: list[Values] = []
    operations: list[list[Operation | None]] = []
    for visit, day in enumerate(days):
        visit_rng = stream(seed, "visit", patient_id, str(visit))
        visit_date = entry + timedelta(days=int(day))
        truth = np.clip(rate * (disease_years + day / DAYS_PER_YEAR) / 8 - 0.6, 0, 100)
        visits.append({"patient_id": patient_id, "visit_date": visit_date, **_activity(visit_rng, level, truth)})
        if visit_rng.random() < (_FILM_SHARE_FIRST if visit == 0 else _FILM_SHARE_LATER):
            sop_iuid = _film_uid(seed, patient_id, visit)
            operated = _operations(seed, patient_id, truth, difficulty)
            here = np.array([operation is None for operation in operated])
            read = np.where(here, read_film(truth, visit_rng, seed, sop_iuid, difficulty), np.nan)
            read, read_on = _written_down(read, visit_rng, visit_date, last_day)
            truths.append(np.where(here, truth, np.nan))
            readings.append(read)
            operations.append(operated)
            films.append(
                {
                    "id_x": str(number * 1000 + visit),
                    "patient_id": patient_id,
                    "date_x": visit_date,
                    "date_y": read_on,
                    "sop_iuid": sop_iuid,
                    "body_part": "HAND_LEFT" if visit_rng.random() < 0.85 else "HAND_BOTH",
                }
            )
    row = {"patient_id": patient_id, "first_visit": entry, "disease_years": disease_years}
    return _Patient(row, visits, films, truths, readings, operations)


def _visit_days(rng: np.random.Generator, available: int) -> npt.NDArray[np.int64]:
    """Days of the visits since the first one: every 6 to 12 months until the patient leaves or the registry ends."""
    gaps = rng.integers(170, 390, size=available // 170 + 1)
    days = np.concatenate([[0], np.cumsum(gaps)])
    stays = int(rng.exponential(9 * DAYS_PER_YEAR)) + 200
    return np.asarray(days[(days <= available) & (days <= stays)], dtype=np.int64)


def _erosion_rates(rng: np.random.Generator) -> Values:
    """Percent of erosion after eight years of disease, one a joint."""
    patient = _PATIENT_SPREAD * rng.standard_t(_PATIENT_TAIL)
    joint = np.array([_JOINT_LEVEL[joint.kind] + _FAST_JOINTS.get(joint.name, 0.0) for joint in LEFT_HAND])
    logs = _EROSION_LEVEL + patient + joint + _JOINT_SPREAD * rng.standard_normal(len(joint))
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


def _operations(seed: int, patient_id: str, truth: Values, difficulty: Difficulty) -> list[Operation | None]:
    """How each joint was operated on by now; since nothing heals, an operated joint stays operated."""
    if not difficulty.operated:
        return [None] * len(truth)
    operations: list[Operation | None] = []
    for joint, erosion in zip(LEFT_HAND, truth.tolist(), strict=True):
        limit, chosen, other, replaced = stream(seed, "operation", patient_id, joint.column).random(4)
        damaged = chosen < difficulty.operated and erosion >= 50 + 50 * limit
        if not damaged and other >= _OTHER_OPERATIONS * difficulty.operated:
            operations.append(None)
        else:
            operations.append("prosthesis" if replaced < _REPLACED_SHARE[joint.kind] else "fusion")
    return operations


def _written_down(
    read: Values, rng: np.random.Generator, visit_date: date, last_day: date
) -> tuple[Values, date | None]:
    """Readings of a film's joints, and when they were made; all NaN and None for a film that nobody has read."""
    read[rng.random(len(read)) < _JOINT_UNREAD_SHARE] = np.nan
    delay = int(rng.exponential(20)) if rng.random() < 0.8 else int(rng.exponential(900))
    read_on = visit_date + timedelta(days=delay)
    if rng.random() >= _FILM_READ_SHARE or read_on > last_day or np.isnan(read).all():
        return np.full(len(read), np.nan), None
    return read, read_on


def _consultations(films: pd.DataFrame, joints: pd.DataFrame) -> pd.DataFrame:
    readings = joints["erosion_read"].to_numpy().reshape(len(films), len(JOINT_COLUMNS))
    rau = np.asarray(rau_score(grade(readings)), dtype=np.float64)
    wide = pd.concat([films, pd.DataFrame(readings, columns=list(JOINT_COLUMNS))], axis=1)
    return wide.assign(rau_score=np.round(rau, 2))[list(CONSULTATION_COLUMNS)]


def _joined(films: list[Values]) -> Values:
    return np.concatenate([np.zeros(0), *films])


def _film_uid(seed: int, patient_id: str, visit: int) -> str:
    """A DICOM UID under the root of UUIDs (2.25), as PS3.5 B.2 gives to anybody without a root of his own."""
    digest = blake2b(f"{seed}/{patient_id}/{visit}".encode(), digest_size=16).digest()
    return f"2.25.{int.from_bytes(digest)}"
