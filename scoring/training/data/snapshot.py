"""A snapshot of a site's own readings: the latest reading of every joint with its image, as the network sees it."""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scoring.clinical import ratingen
from scoring.errors import BadInput, StorageUnavailable
from scoring.imaging.loader import RejectedImage, load_images
from scoring.imaging.preprocess import SIDE
from scoring.progress import Progress, no_progress
from scoring.training.data.joint_set import JointSet

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# Readings of one joint this many grades apart are not a borderline case: one of them must be wrong.
_CONFLICT = 2
CONFLICTING = "readings two grades apart"
"""The reason for excluding a joint with such readings."""

# Images loaded ahead of the current one: enough to keep four readers busy.
_AHEAD = 256
# A few missing files may have been removed. If this many or more are requested and all are missing, the storage failed.
_WHOLE_STORAGE = 20

_JOINT = ["sop_iuid", "joint"]


@dataclass(frozen=True)
class Snapshot:
    """A set of joints, and why other read joints are not in it.

    Attributes:
        joints: The set; the truth is unknown.
        excluded: Number of excluded joints, by reason; each is logged.
        n_discordant: Number of joints in the set that were read more than once, with different values.
    """

    joints: JointSet
    excluded: dict[str, int]
    n_discordant: int


def latest_readings(readings: "pd.DataFrame") -> tuple["pd.DataFrame", "pd.DataFrame", int]:
    """Choose one reading per joint: the latest, unless the readings contradict each other.

    The rows are those of `scoring.warehouse.queries.training_data.read_joints`: one per reading, the latest last.

    Returns:
        The rows of the chosen readings; sop_iuid and joint of the joints with conflicting readings; and the number of
        chosen joints with different readings.
    """
    grades = readings.assign(grade=ratingen.grade(readings["reading_percent"].to_numpy("float64")))
    by_joint = grades.groupby(_JOINT, sort=False)
    # Transforms keep the rows, so the joints stay in the order of the readings.
    spread = by_joint["grade"].transform("max") - by_joint["grade"].transform("min")
    differs = by_joint["reading_percent"].transform("nunique") > 1
    last = ~readings.duplicated(_JOINT, keep="last")
    conflict = spread >= _CONFLICT
    chosen = readings[last & ~conflict].reset_index(drop=True)
    return chosen, readings.loc[last & conflict, _JOINT], int((last & differs & ~conflict).sum())


def take_snapshot(
    readings: "pd.DataFrame", *, max_bad_share: float, min_rows_for_bad_share: int, progress: Progress = no_progress
) -> Snapshot:
    """Decode the image of every read joint with the decoder and the preprocessing of scoring.

    A missing, changed or damaged image is excluded with its reason. Memory is that of the result, 16 kB per joint.

    Raises:
        BadInput: There are `min_rows_for_bad_share` images or more, and more than `max_bad_share` of them are unusable.
        StorageUnavailable: The storage of the images failed, or all of the images are missing.
    """
    chosen, conflicting, n_discordant = latest_readings(readings)
    n = len(chosen)
    images, kept = np.empty((n, SIDE, SIDE), np.uint8), np.zeros(n, np.bool_)
    rejected = []
    rows = chosen[["image_sha256", "sop_iuid", "joint", "uri"]].itertuples(index=False, name=None)
    for i, (_, image) in enumerate(load_images(rows, SIDE, ahead=_AHEAD)):
        if isinstance(image, RejectedImage):
            rejected.append(image)
        else:
            images[i], kept[i] = image, True
        if (i + 1) % 100 == 0 or i + 1 == n:
            progress("decoding joints", i + 1, n)
    excluded = dict(sorted(Counter(f"image {image.kind}" for image in rejected).items()))
    _check_rejected(n, rejected, excluded, max_bad_share, min_rows_for_bad_share)
    for each in rejected:
        logger.warning("joint_excluded file=%s reason=%s", each.uri, each.reason)
    if len(conflicting):
        excluded[CONFLICTING] = len(conflicting)
    for radiograph, joint in conflicting.itertuples(index=False, name=None):
        logger.warning("joint_excluded radiograph=%s joint=%s reason=%s", radiograph, joint, CONFLICTING)
    joints = JointSet(
        images=images,
        reading=chosen["reading_percent"].to_numpy(np.float32),
        truth=np.full(n, np.nan, np.float32),
        **{name: chosen[name].to_numpy(np.str_) for name in ("patient_id", "joint", "sop_iuid")},
        year=chosen["year"].to_numpy(np.int64),
    )
    return Snapshot(joints if kept.all() else joints.take(kept), excluded, n_discordant)


def _check_rejected(
    n: int, rejected: list[RejectedImage], excluded: dict[str, int], max_bad_share: float, min_rows: int
) -> None:
    if len(rejected) == n >= _WHOLE_STORAGE and set(excluded) == {"image gone"}:
        raise StorageUnavailable(
            f"All {n} images of read joints are missing, such as {rejected[0].uri}. Check that the storage is mounted."
        )
    if n >= min_rows and len(rejected) / n > max_bad_share:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in excluded.items())
        raise BadInput(
            f"{len(rejected)} of {n} images of read joints cannot be used ({len(rejected) / n:.0%}; at most "
            f"{max_bad_share:.0%} are tolerated): {reasons}. Example: {rejected[0].uri}: {rejected[0].reason}."
        )
