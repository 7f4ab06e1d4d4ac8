"""Synthetic batches in the landing layout, as an extractor writes them."""

import logging
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from upath import UPath

from scoring.contract import SUCCESS_MARKER, SYNTHETIC_MARKER
from scoring.errors import InvalidRequest
from scoring.phantom.batch_folder import CONSULTATIONS, DISEASE_ACTIVITY, Batch, csv_bytes, write
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.faults import FaultEffect, check_fault_names, damage_batch
from scoring.phantom.joint_image import joint_jpeg
from scoring.phantom.patients import DAYS_PER_YEAR
from scoring.phantom.registry import PhantomRegistry, simulate_registry

log = logging.getLogger(__name__)


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
    history_share: float = 0.8,
    faults: tuple[str, ...] = (),
    fault_batch: int = -1,
) -> list[BatchSummary]:
    """Distribute a synthetic registry over batches of consecutive dates, and write them to a landing folder.

    The first batch has the backlog: the oldest `history_share` of the radiographs. The others have the rest, by date of
    visit. No visit or reading is dated after the first batch. Files appear when complete, `_SUCCESS` last.

    Args:
        landing_url: Local folder or any fsspec URL.
        seed: Seed of everything; the same seed writes the same bytes.
        first_batch: Date of the first batch.
        n_patients: Patients of the registry.
        batches: Number of batches, one per day.
        years: Years of the registry before the first batch, with about one radiograph per patient and year.
        difficulty: Difficulty of images, readings and operations.
        history_share: Share of the radiographs in the first batch, 0 to 1.
        faults: Names from `scoring.phantom.faults.FAULTS`, applied to one batch.
        fault_batch: Index of that batch; -1 is the last one.

    Returns:
        One summary per batch, in order.

    Raises:
        InvalidRequest: A number is out of range, a fault is unknown, or the folder of a batch exists.
    """
    _check_numbers(batches, history_share, fault_batch)
    check_fault_names(faults)
    dates = [first_batch + timedelta(days=day) for day in range(batches)]
    folders = [UPath(landing_url) / day.isoformat() for day in dates]
    taken = [folder.name for folder in folders if folder.exists()]
    if taken:
        raise InvalidRequest(
            f"{landing_url} already has the batches {', '.join(taken)}, and synthetic batches never overwrite others. "
            "Choose another --last-batch or --landing, or remove these folders."
        )
    first_visit = first_batch - timedelta(days=int(years * DAYS_PER_YEAR) + 1)
    registry = simulate_registry(n_patients, seed, first_visit, years, difficulty)
    summaries = []
    for number, (consultations, activity) in enumerate(_split(registry, batches, history_share)):
        batch = Batch(folders[number], dates[number], seed)
        joints = registry.joints[registry.joints["sop_iuid"].isin(consultations["sop_iuid"])]
        _write_batch(batch, joints, consultations, activity, difficulty)
        effects = damage_batch(batch, faults if number == fault_batch % batches else ())
        n_read = int(joints["erosion_read"].notna().sum())
        counts = (len(consultations), n_read, len(activity), len(joints))
        summaries.append(BatchSummary(batch.batch_date, *counts, effects))
        event = "batch_written batch_date=%s consultations=%d images=%d faults=%d"
        log.info(event, dates[number], len(consultations), len(joints), len(effects))
    return summaries


def _check_numbers(batches: int, history_share: float, fault_batch: int) -> None:
    if batches < 1:
        raise InvalidRequest(f"batches is {batches}. Use 1 or more.")
    if not 0 <= history_share <= 1:
        raise InvalidRequest(f"history_share is {history_share}. Use a share from 0 to 1.")
    if not -batches <= fault_batch < batches:
        raise InvalidRequest(f"fault_batch is {fault_batch}. With {batches} batches, use 0 to {batches - 1}.")


def _split(registry: PhantomRegistry, batches: int, history_share: float) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Return consultations and disease activity per batch, cut at the same dates so that visits stay together."""
    consultations = registry.consultations.sort_values(["date_x", "patient_id"], kind="stable")
    activity = registry.disease_activity.sort_values(["date", "patient_id"], kind="stable")
    if batches == 1:
        return [(consultations, activity)]
    n_radiographs = len(consultations)
    cuts = np.rint(n_radiographs * np.linspace(history_share, 1, batches)).astype(int)[:-1]
    # A batch starts with the first visit after those of the previous batches.
    dates = consultations["date_x"].tolist()
    starts = np.array([dates[cut] if cut < n_radiographs else date.max for cut in cuts])
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
    write(batch.folder / CONSULTATIONS, _csv(consultations))
    write(batch.folder / DISEASE_ACTIVITY, _csv(activity))
    notice = b"Written by `scoring phantom`. No image and no record comes from a patient.\n"
    write(batch.folder / SYNTHETIC_MARKER, notice)
    write(batch.folder / SUCCESS_MARKER, b"")


def _csv(table: pd.DataFrame) -> bytes:
    rows = [{str(column): _cell(value) for column, value in row.items()} for row in table.to_dict("records")]
    return csv_bytes(rows, list(table.columns))


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:g}" if value == round(value) else repr(round(value, 4))
    return str(value)
