"""Synthetic batches in the landing layout, as an extractor writes them."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from upath import UPath

from scoring.contract import SYNTHETIC_MARKER
from scoring.errors import InvalidRequest
from scoring.phantom.batch_folder import CONSULTATIONS, DISEASE_ACTIVITY, Batch, write
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.faults import FaultEffect, check_fault_names, damage_batch
from scoring.phantom.joint_image import joint_jpeg
from scoring.phantom.patients import DAYS_PER_YEAR
from scoring.phantom.registry import PhantomRegistry, simulate_registry
from scoring.settings import SUCCESS_MARKER

log = logging.getLogger(__name__)

_BACKLOG_SHARE = 0.8
_NOTICE = b"Written by `scoring phantom`. No image and no record comes from a patient.\n"


@dataclass(frozen=True)
class BatchSummary:
    """Counts of one written batch before any fault, and the expected outcomes of its faults."""

    batch_date: date
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
    batches: int = 3,
    years: float = 1.5,
    difficulty: Difficulty = PLAIN,
    faults: tuple[str, ...] = (),
) -> list[BatchSummary]:
    """Write a synthetic registry to a landing folder, as batches of consecutive dates.

    The registry covers the `years` before the first batch, with about one radiograph per patient and year. The first
    batch has the backlog: the oldest 80 % of the radiographs. The others have the rest, by date of visit. Files appear
    when complete, `_SUCCESS` last. The same seed writes the same bytes. The faults, named as in `faults.FAULTS`, damage
    the last batch.

    Raises:
        InvalidRequest: `batches` is below 1, a fault is unknown, or the folder of a batch exists.
    """
    if batches < 1:
        raise InvalidRequest(f"batches is {batches}. Use 1 or more.")
    check_fault_names(faults)
    dates = [first_batch + timedelta(days=day) for day in range(batches)]
    folders = [UPath(landing_url) / day.isoformat() for day in dates]
    if taken := [folder.name for folder in folders if folder.exists()]:
        raise InvalidRequest(
            f"{landing_url} already contains the batches {', '.join(taken)}, which synthetic batches never overwrite. "
            "Choose another --last-batch or --landing, or remove these folders."
        )
    first_visit = first_batch - timedelta(days=int(years * DAYS_PER_YEAR) + 1)
    registry = simulate_registry(n_patients, seed, first_visit, years, difficulty)
    summaries = []
    for folder, day, (consultations, activity) in zip(folders, dates, _split(registry, batches), strict=True):
        batch = Batch(folder, day, seed)
        joints = registry.joints[registry.joints["sop_iuid"].isin(consultations["sop_iuid"])]
        _write_batch(batch, joints, consultations, activity, difficulty)
        effects = damage_batch(batch, faults) if day == dates[-1] else ()
        n_readings = int(joints["erosion_read"].notna().sum())
        summaries.append(BatchSummary(day, len(consultations), n_readings, len(activity), len(joints), effects))
        counts = len(consultations), len(joints), len(effects)
        log.info("batch_written batch_date=%s consultations=%d images=%d faults=%d", day, *counts)
    return summaries


def _split(registry: PhantomRegistry, batches: int) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return consultations and disease activity per batch, cut at the same dates so that visits stay together."""
    consultations = registry.consultations.sort_values(["date_x", "patient_id"], kind="stable")
    activity = registry.disease_activity.sort_values(["date", "patient_id"], kind="stable")
    cuts = np.rint(len(consultations) * np.linspace(_BACKLOG_SHARE, 1, batches)).astype(int)[:-1]
    # A batch starts with the first visit after those of the previous batches.
    starts = np.array([*consultations["date_x"], date.max], dtype=object)[cuts]
    radiograph_batch = np.searchsorted(starts, consultations["date_x"].to_numpy(), side="right")
    visit_batch = np.searchsorted(starts, activity["date"].to_numpy(), side="right")
    return [(consultations[radiograph_batch == batch], activity[visit_batch == batch]) for batch in range(batches)]


def _write_batch(
    batch: Batch, joints: pd.DataFrame, consultations: pd.DataFrame, activity: pd.DataFrame, difficulty: Difficulty
) -> None:
    columns = ("patient_id", "sop_iuid", "joint", "erosion_true", "operation")
    for patient_id, sop_iuid, joint, erosion, operation in zip(*(joints[column] for column in columns), strict=True):
        shown = 0.0 if operation else erosion
        look = {"difficulty": difficulty, "operation": operation}
        write(batch.image(sop_iuid, joint), joint_jpeg(batch.seed, patient_id, sop_iuid, joint, shown, **look))
    batch.write_table(CONSULTATIONS, consultations.map(_cell))
    batch.write_table(DISEASE_ACTIVITY, activity.map(_cell))
    write(batch.folder / SYNTHETIC_MARKER, _NOTICE)
    write(batch.folder / SUCCESS_MARKER, b"")


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value == round(value) else str(round(value, 4))
    return str(value)
