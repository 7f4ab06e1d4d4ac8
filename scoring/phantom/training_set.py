"""Synthetic joints for training and evaluation, after the same JPEG, decoder and preprocessing as real ones."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
import pandas as pd

from scoring.errors import InvalidRequest
from scoring.imaging.decode import decode_grey
from scoring.imaging.preprocess import SIDE, to_network_input
from scoring.phantom.difficulty import PLAIN, Difficulty
from scoring.phantom.joint_image import joint_jpeg
from scoring.phantom.patients import LIMB_JOINTS, Limb
from scoring.phantom.readers import Values, read_erosion, reader_bias
from scoring.phantom.registry import simulate_radiographs
from scoring.phantom.seeds import stream
from scoring.progress import Progress, no_progress

FIRST_VISIT, YEARS = date(2005, 1, 1), 12
_CHUNK = 100

Flags = npt.NDArray[np.bool_]
_Request = tuple[str, str, str, float]


@dataclass(frozen=True)
class TrainingSet:
    """Synthetic joints in arrays of equal length n, ordered by patient and radiograph.

    Attributes:
        images: uint8 (n, 128, 128), input of the network.
        erosion_true: float64, percent of the articular outline that is removed.
        erosion_read: float64, reading in percent, NaN if not read.
        patient_id: str; a split must not separate the joints of a patient.
        joint: str, joint column.
        sop_iuid: str, the radiograph.
        year: int64, year of the radiograph.
        enriched: bool, True if the erosion comes from the flat distribution instead of the registry.
    """

    images: npt.NDArray[np.uint8]
    erosion_true: Values
    erosion_read: Values
    patient_id: npt.NDArray[np.str_]
    joint: npt.NDArray[np.str_]
    sop_iuid: npt.NDArray[np.str_]
    year: npt.NDArray[np.int64]
    enriched: Flags


def make_training_set(
    n_patients: int,
    seed: int,
    *,
    max_images: int | None = None,
    workers: int = 1,
    enrich: float = 0.0,
    difficulty: Difficulty = PLAIN,
    limb: Limb = "hand_left",
    progress: Progress = no_progress,
) -> TrainingSet:
    """Draw every joint on every radiograph of a synthetic registry, except operated joints, which are never read.

    Erosions have the prevalence of the registry (about two thirds of the readings are 0) unless `enrich` is set.

    Args:
        n_patients: Patients of the registry, with about 50 joints each (10 for wrists).
        seed: Seed of registry and drawings.
        max_images: Largest number of joints, from radiographs chosen at random.
        workers: Number of drawing processes; the result does not depend on it.
        enrich: Share of joints, 0 to 1, with an erosion drawn uniformly from 0 to 100 percent, so that rare grades are
            represented. Such a joint follows neither its patient's progression nor the halo effect. A model card must
            state it.
        difficulty: Confounders of the images and errors of the readers.
        limb: Limb of the joints; the patients are always those of the left-hand registry of this seed.
        progress: Called after each chunk of joints.

    Returns:
        The joints in the order of the registry.

    Raises:
        InvalidRequest: A share or a number is out of range.
    """
    if not 0 <= enrich <= 1:
        raise InvalidRequest(f"enrich is {enrich}. Use a share from 0 to 1.")
    if max_images is not None and max_images < 1:
        raise InvalidRequest(f"max_images is {max_images}. Use 1 or more.")
    joints = simulate_radiographs(n_patients, seed, FIRST_VISIT, YEARS, limb=limb, difficulty=difficulty)
    joints = joints[joints["operation"].isna()]
    if max_images is not None:
        joints = _some_radiographs(joints, -(-max_images // len(LIMB_JOINTS[limb])), seed).head(max_images)
    truth, read, enriched = _enrich(joints, enrich, seed, difficulty)
    columns = (joints["patient_id"], joints["sop_iuid"], joints["joint"], truth.tolist())
    requests: list[_Request] = list(zip(*columns, strict=True))
    images = np.empty((len(requests), SIDE, SIDE), dtype=np.uint8)
    done = 0
    for drawn in _draw(requests, seed, workers, difficulty):
        images[done : done + len(drawn)] = drawn
        done += len(drawn)
        progress("drawing synthetic joints", done, len(requests))
    return TrainingSet(
        images=images,
        erosion_true=truth,
        erosion_read=read,
        patient_id=joints["patient_id"].to_numpy(dtype=np.str_),
        joint=joints["joint"].to_numpy(dtype=np.str_),
        sop_iuid=joints["sop_iuid"].to_numpy(dtype=np.str_),
        year=np.array([day.year for day in joints["visit_date"]], dtype=np.int64),
        enriched=enriched,
    )


def _some_radiographs(joints: pd.DataFrame, n_radiographs: int, seed: int) -> pd.DataFrame:
    radiographs = joints["sop_iuid"].unique()
    chosen = stream(seed, "training-films").permutation(len(radiographs))[:n_radiographs]
    return joints[joints["sop_iuid"].isin(radiographs[chosen])]


def _enrich(joints: pd.DataFrame, share: float, seed: int, difficulty: Difficulty) -> tuple[Values, Values, Flags]:
    """Return truth and readings, some of them redrawn, and which joints these are."""
    truth = joints["erosion_true"].to_numpy(dtype=np.float64, copy=True)
    read = joints["erosion_read"].to_numpy(dtype=np.float64, copy=True)
    enriched = np.zeros(len(joints), dtype=np.bool_)
    for row, (sop_iuid, joint) in enumerate(zip(joints["sop_iuid"], joints["joint"], strict=True)):
        rng = stream(seed, "enrich", sop_iuid, joint)
        if rng.random() < share:
            truth[row] = rng.uniform(0, 100)
            read[row] = read_erosion(truth[row : row + 1], rng, reader_bias(seed, sop_iuid, difficulty), difficulty)[0]
            enriched[row] = True
    return truth, read, enriched


def _draw(requests: list[_Request], seed: int, workers: int, difficulty: Difficulty) -> Iterator[npt.NDArray[np.uint8]]:
    chunks = [requests[start : start + _CHUNK] for start in range(0, len(requests), _CHUNK)]
    draw = partial(_draw_chunk, seed, difficulty)
    if workers == 1:
        yield from map(draw, chunks)
        return
    # A fork of a process in which TensorFlow has run can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(draw, chunks)


def _draw_chunk(seed: int, difficulty: Difficulty, chunk: list[_Request]) -> npt.NDArray[np.uint8]:
    jpegs = (joint_jpeg(seed, *request, difficulty=difficulty) for request in chunk)
    return np.stack([to_network_input(decode_grey(jpeg)) for jpeg in jpegs])
