"""The synthetic registry of rheumatoid arthritis: patients, visits, radiographs with true erosions, disease activity.

Damage moves the joint counts, the ESR and the patient's assessment. The effects reproduce the published weak relation
of the Rau score to activity: Pearson r of about .15 with DAS28-ESR and .08 with three-variable DAS28-CRP.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from scoring import contract
from scoring.clinical.das28 import das28_crp, das28_esr
from scoring.clinical.joints import LEFT_HAND, Joint
from scoring.clinical.ratingen import grade
from scoring.clinical.rau import rau_score
from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.patients import (
    DAYS_PER_YEAR,
    LIMB_JOINTS,
    Limb,
    Radiograph,
    Simulation,
    draw_patient,
    draw_radiograph,
    erosion_rates,
)
from scoring.phantom.readers import Values
from scoring.phantom.seeds import Rng, stream

JOINT_COLUMNS: tuple[str, ...] = tuple(joint.column for joint in LEFT_HAND)

CONSULTATION_COLUMNS = contract.column_names("consultations", required=True)
ACTIVITY_COLUMNS = tuple(column.name for column in contract.ACTIVITY_COLUMNS)

# Effect of one standard deviation of (log) damage on each component.
_DAMAGE_ON_JOINT_COUNTS = 0.20
_DAMAGE_ON_LOG_ESR = 0.18
_DAMAGE_ON_PATIENT_GLOBAL = 3.0

_MISSING_SHARES = {
    "physician_global_disease_activity": 0.12,
    "global_patient_estimate_disease_activity": 0.15,
    "swollen_28": 0.2,
    "tender_28": 0.2,
    "esr": 0.3,
    "crp": 0.35,
}


@dataclass(frozen=True)
class PhantomRegistry:
    """The tables of a synthetic registry.

    Attributes:
        visits: patient_id, visit_date and, without gaps, the components and the four forms of DAS28.
        consultations: One row per radiograph, in the required columns of the landing contract. Readings in percent, NaN
            if not read; date_y and rau_score are empty if the radiograph was not read.
        disease_activity: One row per visit, in the columns of the landing contract, with gaps.
        joints: One row per joint on a radiograph: sop_iuid, patient_id, visit_date, joint, erosion_true, erosion_read,
            operation (None, prosthesis or fusion). Both erosions of an operated joint are NaN.
    """

    visits: pd.DataFrame
    consultations: pd.DataFrame
    disease_activity: pd.DataFrame
    joints: pd.DataFrame


def simulate_registry(
    n_patients: int, seed: int, first_visit: date, years: float, difficulty: Difficulty = PLAIN
) -> PhantomRegistry:
    """Simulate 1 to 99,999 patients; `years` is the time from `first_visit` to the last visit and reading.

    A patient depends only on the seed and their number, so a larger registry contains the smaller one. Patients, visits
    and true erosions do not depend on the difficulty. The tables are ordered by patient and date.

    Raises:
        InvalidRequest: n_patients or years are out of range.
    """
    simulation = _simulation(n_patients, seed, first_visit, years, difficulty)
    visits, consultations, radiographs = [], [], []
    for number in range(1, n_patients + 1):
        patient, rng = draw_patient(number, simulation)
        rates = erosion_rates(LEFT_HAND, patient.severity, rng)
        level = float(rng.normal(0, 0.75))
        for visit in range(len(patient.days)):
            visit_rng = stream(seed, "visit", patient.patient_id, str(visit))
            facts = {"patient_id": patient.patient_id, "visit_date": patient.visit_date(visit)}
            visits.append(facts | _components(visit_rng, level, patient.erosion(rates, visit)))
            radiograph = draw_radiograph(simulation, patient, visit, "hand_left", rates=rates, rng=visit_rng)
            if radiograph:
                radiographs.append(radiograph)
                body_part = "HAND_LEFT" if visit_rng.random() < 0.85 else "HAND_BOTH"
                dates = radiograph.visit_date, radiograph.read_on
                keys = str(number * 1000 + visit), patient.patient_id, *dates, radiograph.sop_iuid
                consultations.append((*keys, body_part, *radiograph.erosion_read))
    all_visits = _with_das28(pd.DataFrame(visits))
    without_rau = pd.DataFrame(consultations, columns=CONSULTATION_COLUMNS[:-1])
    readings = without_rau[list(JOINT_COLUMNS)].to_numpy(np.float64)
    return PhantomRegistry(
        visits=all_visits.drop(columns=["u_bsr", "u_crp3"]),
        consultations=without_rau.assign(rau_score=np.round(rau_score(grade(readings)), 2)),
        disease_activity=_delivered(all_visits, seed),
        joints=_joint_rows(radiographs, LEFT_HAND),
    )


def simulate_radiographs(
    n_patients: int, seed: int, first_visit: date, years: float, *, limb: Limb, difficulty: Difficulty = PLAIN
) -> pd.DataFrame:
    """Simulate radiographs of one limb, for the patients and visits of `simulate_registry` with the same arguments.

    The columns are those of `PhantomRegistry.joints`; for the left hand, it is that table.
    """
    if limb == "hand_left":
        return simulate_registry(n_patients, seed, first_visit, years, difficulty).joints
    simulation = _simulation(n_patients, seed, first_visit, years, difficulty)
    joints = LIMB_JOINTS[limb]
    radiographs = []
    for number in range(1, n_patients + 1):
        patient, _ = draw_patient(number, simulation)
        rates = erosion_rates(joints, patient.severity, stream(seed, "rates", patient.patient_id, limb))
        for visit in range(len(patient.days)):
            rng = stream(seed, "visit", patient.patient_id, str(visit), limb)
            radiographs.append(draw_radiograph(simulation, patient, visit, limb, rates=rates, rng=rng))
    return _joint_rows([radiograph for radiograph in radiographs if radiograph], joints)


def _simulation(n_patients: int, seed: int, first_visit: date, years: float, difficulty: Difficulty) -> Simulation:
    if not 1 <= n_patients <= 99_999:
        raise InvalidRequest(f"n_patients is {n_patients}. Use 1 to 99999, because patient ids have five digits.")
    if years <= 0:
        raise InvalidRequest(f"years is {years}. Use a number above 0.")
    return Simulation(seed, first_visit, first_visit + timedelta(days=int(years * DAYS_PER_YEAR)), difficulty)


def _joint_rows(radiographs: list[Radiograph], joints: tuple[Joint, ...]) -> pd.DataFrame:
    """Return one row per joint on a radiograph."""
    rows = [
        (radiograph.sop_iuid, radiograph.patient_id, radiograph.visit_date, joint.column, *found)
        for radiograph in radiographs
        for joint, *found in zip(
            joints, radiograph.erosion_true, radiograph.erosion_read, radiograph.operations, strict=True
        )
    ]
    names = ["sop_iuid", "patient_id", "visit_date", "joint", "erosion_true", "erosion_read", "operation"]
    return pd.DataFrame(rows, columns=names).astype({"erosion_true": float, "erosion_read": float})


def _components(rng: Rng, level: float, erosion: Values) -> dict[str, float]:
    """Draw the components of DAS28 at one visit, and uniform numbers that decide which scores are missing (`u_...`)."""
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
    """Return visits with the four forms of DAS28."""
    components = ("tender_28", "swollen_28", "esr", "crp", "global_patient_estimate_disease_activity")
    tender, swollen, esr, crp, patient_global = (visits[name].to_numpy() for name in components)
    return visits.assign(
        das28_esr4=das28_esr(tender, swollen, esr, patient_global),
        das28_esr3=das28_esr(tender, swollen, esr),
        das28_crp4=das28_crp(tender, swollen, crp, patient_global),
        das28_crp3=das28_crp(tender, swollen, crp),
    )


def _delivered(visits: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return visits as delivered: scores without components, components without scores, missing assessments."""
    table = visits.rename(columns={"visit_date": "date"}).assign(
        das28bsr_score=visits["das28_esr4"].round(2).where(visits["u_bsr"] < 0.78),
        das283crp_score=visits["das28_crp3"].round(2).where(visits["u_crp3"] < 0.66),
    )[list(ACTIVITY_COLUMNS)]
    for column, share in _MISSING_SHARES.items():
        lost = [
            stream(seed, "gap", column, patient, str(day)).random() < share
            for patient, day in zip(table["patient_id"], table["date"], strict=True)
        ]
        table.loc[lost, column] = np.nan
    return table
