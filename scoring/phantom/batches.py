"""Synthetic nights in the landing layout, as an extractor would leave them."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from upath import UPath

from scoring.contract import SUCCESS_MARKER, SYNTHETIC_MARKER
from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.faults import (
    CONSULTATIONS,
    DISEASE_ACTIVITY,
    FaultEffect,
    Night,
    csv_bytes,
    damage_batch,
    put,
    refuse_unknown,
)
from scoring.phantom.radiograph import joint_jpeg
from scoring.phantom.registry import DAYS_PER_YEAR, PhantomRegistry, simulate_registry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchSummary:
    """What was written for one night.

    Attributes:
        batch_date: The night.
        url: Its folder.
        n_consultations: Rows of consultations.csv before any fault.
        n_readings: Joints read in these rows.
        n_disease_activity: Rows of disease_activity.csv before any fault.
        n_images: Joint images before any fault.
        effects: What each fault done to the night must lead to.
    """

    batch_date: date
    url: str
    n_consultations: int
    n_readings: int
    n_disease_activity: int
    n_images: int
    effects: tuple[FaultEffect, ...]


def write_batches(
    landing_url: str,
    *,
    seed: int,
    first_batch: date,
    n_patients: int = 40,
    nights: int = 3,
    years: float = 1.5,
    difficulty: Difficulty = PLAIN,
    history_share: float = 0.8,
    faults: tuple[str, ...] = (),
    fault_batch: int = -1,
) -> list[BatchSummary]:
    """Spread a synthetic registry over consecutive nights and write them to a landing folder.

    The first night brings the backlog (the oldest `history_share` of the radiographs), the others the rest in the order of
    the visits. No visit and no reading is dated after the first night. Files are moved into place when they are whole,
    and `_SUCCESS` is written last.

    Args:
        landing_url: Local folder or any fsspec URL.
        seed: Seed of everything; the same seed writes the same bytes.
        first_batch: Date of the first folder.
        n_patients: Patients of the registry.
        nights: Number of folders, one a day.
        years: Years of the registry before the first night; about one radiograph a patient and year.
        difficulty: How hard images are to read, how readers err, how many joints are operated on.
        history_share: Share of the radiographs that the first night brings, 0 to 1.
        faults: Names of `scoring.phantom.faults.FAULTS` to be done to one of the nights.
        fault_batch: Which night, counted from 0; -1 is the last one.

    Returns:
        One summary a night, in order.

    Raises:
        InvalidRequest: A number or a fault makes no sense, or a night's folder is there already.
    """
    _refuse_nonsense(nights, history_share, fault_batch)
    refuse_unknown(faults)
    landing = UPath(landing_url)
    folders = [landing / (first_batch + timedelta(days=day)).isoformat() for day in range(nights)]
    taken = [folder.name for folder in folders if folder.exists()]
    if taken:
        raise InvalidRequest(
            f"{landing_url} already has {', '.join(taken)}: a phantom never overwrites a night. "
            "Choose another last night (--last-night) or landing folder, or remove these folders."
        )
    first_visit = first_batch - timedelta(days=int(years * DAYS_PER_YEAR) + 1)
    registry = simulate_registry(n_patients, seed, first_visit, years, difficulty)
    summaries = []
    for day, (consultations, activity) in enumerate(_split(registry, nights, history_share)):
        batch_date = first_batch + timedelta(days=day)
        damaged = faults if day == fault_batch % nights else ()
        joints = registry.joints[registry.joints["sop_iuid"].isin(consultations["sop_iuid"])]
        night = Night(folders[day], batch_date, seed)
        summaries.append(_write_night(night, joints, consultations, activity, faults=damaged, difficulty=difficulty))
    return summaries


def _refuse_nonsense(nights: int, history_share: float, fault_batch: int) -> None:
    if nights < 1:
        raise InvalidRequest(f"nights is {nights}; at least one night is needed.")
    if not 0 <= history_share <= 1:
        raise InvalidRequest(f"history_share is {history_share}; it is a share and must lie in 0-1.")
    if not -nights <= fault_batch < nights:
        raise InvalidRequest(f"fault_batch is {fault_batch}; with {nights} nights it must lie in 0-{nights - 1}.")


def _split(registry: PhantomRegistry, nights: int, history_share: float) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Consultations and disease activity of each night, cut at the same dates so that visits stay together."""
    consultations = registry.consultations.sort_values(["date_x", "patient_id"], kind="stable")
    activity = registry.disease_activity.sort_values(["date", "patient_id"], kind="stable")
    if nights == 1:
        return [(consultations, activity)]
    n_radiographs = len(consultations)
    cuts = np.rint(n_radiographs * np.linspace(history_share, 1, nights)).astype(int)[:-1]
    # A night begins with the first visit that the nights before it did not bring.
    dates = consultations["date_x"].tolist()
    starts = [dates[cut] if cut < n_radiographs else date.max for cut in cuts]
    radiograph_night = np.searchsorted(np.array(starts), consultations["date_x"].to_numpy(), side="right")
    visit_night = np.searchsorted(np.array(starts), activity["date"].to_numpy(), side="right")
    return [(consultations[radiograph_night == night], activity[visit_night == night]) for night in range(nights)]


def _write_night(
    night: Night,
    joints: pd.DataFrame,
    consultations: pd.DataFrame,
    activity: pd.DataFrame,
    *,
    faults: tuple[str, ...],
    difficulty: Difficulty,
) -> BatchSummary:
    folder = night.folder
    columns = ("patient_id", "sop_iuid", "joint", "erosion_true", "operation")
    for patient_id, sop_iuid, joint, erosion, operation in zip(*(joints[column] for column in columns), strict=True):
        erosion_shown = 0.0 if operation else erosion
        data = joint_jpeg(
            night.seed, patient_id, sop_iuid, joint, erosion_shown, difficulty=difficulty, operation=operation
        )
        put(night.image(sop_iuid, joint), data)
    put(folder / CONSULTATIONS, _csv(consultations))
    put(folder / DISEASE_ACTIVITY, _csv(activity))
    put(folder / SYNTHETIC_MARKER, b"Written by scoring phantom. No image and no record comes from a patient.\n")
    put(folder / SUCCESS_MARKER, b"")
    effects = damage_batch(night, faults)
    log.info(
        "night=%s consultations=%d images=%d faults=%d",
        night.batch_date,
        len(consultations),
        len(joints),
        len(effects),
    )
    return BatchSummary(
        batch_date=night.batch_date,
        url=str(folder),
        n_consultations=len(consultations),
        n_readings=int(joints["erosion_read"].notna().sum()),
        n_disease_activity=len(activity),
        n_images=len(joints),
        effects=effects,
    )


def _csv(frame: pd.DataFrame) -> bytes:
    columns = [str(column) for column in frame.columns]
    rows = [dict(zip(columns, map(_cell, values), strict=True)) for values in frame.itertuples(index=False, name=None)]
    return csv_bytes(rows, columns)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value == round(value) else repr(round(value, 4))
    return str(value)
