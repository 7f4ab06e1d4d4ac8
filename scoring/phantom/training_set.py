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
    """Synthetic joints in arrays of length n, ordered by patient and radiograph.

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

    A patient has about 50 joints of a limb (10 of the wrists); the patients are the same for every limb. `max_images`
    keeps radiographs chosen at random. The result does not depend on `workers`, the number of processes.

    Erosions have the prevalence of the registry (about two thirds of the readings are 0), except for the share `enrich`
    of the joints: their erosion is uniform from 0 to 100 percent, so that rare grades are represented. They follow
    neither their patient's progression nor the halo effect. A model card must state it.

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
        n_radiographs = -(-max_images // len(LIMB_JOINTS[limb]))
        chosen = stream(seed, "training-films").permutation(joints["sop_iuid"].unique())[:n_radiographs]
        joints = joints[joints["sop_iuid"].isin(chosen)].head(max_images)
    truth, read, enriched = _enrich(joints, enrich, seed, difficulty)
    requests = list(zip(joints["patient_id"], joints["sop_iuid"], joints["joint"], truth.tolist(), strict=True))
    images = np.empty((len(requests), SIDE, SIDE), dtype=np.uint8)
    for done, image in enumerate(_draw(requests, seed, workers, difficulty), start=1):
        images[done - 1] = image
        if done % _CHUNK == 0 or done == len(requests):
            progress("drawing synthetic joints", done, len(requests))
    return TrainingSet(
        images=images,
        erosion_true=truth,
        erosion_read=read,
        **{name: joints[name].to_numpy(dtype=np.str_) for name in ("patient_id", "joint", "sop_iuid")},
        year=np.array([day.year for day in joints["visit_date"]], dtype=np.int64),
        enriched=enriched,
    )


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
    draw = partial(_draw_joint, seed, difficulty)
    if workers == 1:
        yield from map(draw, requests)
        return
    # A fork of a process in which TensorFlow has run can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(draw, requests, chunksize=_CHUNK)


def _draw_joint(seed: int, difficulty: Difficulty, request: _Request) -> npt.NDArray[np.uint8]:
    return to_network_input(decode_grey(joint_jpeg(seed, *request, difficulty=difficulty)))
