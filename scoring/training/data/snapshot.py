"""A snapshot of a site's own readings: the latest reading of every joint beside its image, as the network sees it."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scoring.clinical import ratingen
from scoring.errors import BadInput, StorageUnavailable
from scoring.imaging.loader import RejectedImage, load_images
from scoring.imaging.preprocess import SIDE
from scoring.progress import Progress, no_progress
from scoring.training.data.joint_set import JointSet

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# Readings of one joint this many grades apart are no border case: one of them is wrong, and nobody knows which.
CONFLICT = 2
READ_DIFFERENTLY = "readings two grades apart"

# Images loaded ahead of the one that is taken: enough for four readers to be busy.
_AHEAD = 256
# A few files may be taken away; when every one of at least so many is gone, it is the storage that went.
_WHOLE_STORAGE = 20

_JOINT = ["sop_iuid", "joint"]


@dataclass(frozen=True)
class LatestReadings:
    """One reading for each joint.

    Attributes:
        joints: The latest reading of every joint, with the columns of what was given.
        conflicting: sop_iuid and joint of those that were left out, because their readings are too far apart.
        n_discordant: Number of joints in `joints` whose readings differ.
    """

    joints: "pd.DataFrame"
    conflicting: "pd.DataFrame"
    n_discordant: int


@dataclass(frozen=True)
class Snapshot:
    """A set of joints, and the reasons for which read joints are not in it.

    Attributes:
        joints: The set; nothing is known of its truth.
        excluded: Joints that were left out, by reason.
        refused: The images among them that could not be used.
        conflicting: Radiograph and joint of those whose readings are too far apart.
        n_discordant: Joints of the set that were read more than once, with different values.
    """

    joints: JointSet
    excluded: dict[str, int]
    refused: list[RejectedImage]
    conflicting: list[tuple[str, str]]
    n_discordant: int


def latest_readings(readings: "pd.DataFrame") -> LatestReadings:
    """Choose one reading for each joint: the latest, unless the readings contradict each other.

    Args:
        readings: One row a reading with sop_iuid, joint and reading_percent, the latest reading of a joint last, as
            `scoring.warehouse.queries.training_data.read_joints` gives them.
    """
    grades = readings.assign(grade=ratingen.grade(readings["reading_percent"].to_numpy("float64")))
    of_joint = grades.groupby(_JOINT, sort=False)
    # Transforms keep the rows, so that the order of the joints stays that of the readings.
    spread = of_joint["grade"].transform("max") - of_joint["grade"].transform("min")
    differs = of_joint["reading_percent"].transform("nunique") > 1
    last = ~readings.duplicated(_JOINT, keep="last")
    conflict = spread >= CONFLICT
    return LatestReadings(
        joints=readings[last & ~conflict].reset_index(drop=True),
        conflicting=readings.loc[last & conflict, _JOINT].reset_index(drop=True),
        n_discordant=int((last & differs & ~conflict).sum()),
    )


def take_snapshot(
    readings: "pd.DataFrame",
    *,
    max_bad_share: float,
    min_rows_for_bad_share: int,
    progress: Progress = no_progress,
) -> Snapshot:
    """Decode the image of every read joint, by the decoder and the preprocessing that scoring uses.

    An image that is gone, changed or damaged is left out with its reason. Memory is that of the result, 16 kB a joint.

    Args:
        readings: As `scoring.warehouse.queries.training_data.read_joints` gives them.
        max_bad_share: The snapshot is refused if a larger share of the images cannot be used.
        min_rows_for_bad_share: Below this many images the share is not judged.
        progress: Called while images are decoded.

    Raises:
        BadInput: Too large a share of the images cannot be used; the message has the reasons and one of them.
        StorageUnavailable: The storage of the images failed, or has none of them any more.
    """
    latest = latest_readings(readings)
    wanted, n = latest.joints, len(latest.joints)
    images = np.empty((n, SIDE, SIDE), np.uint8)
    kept = np.zeros(n, np.bool_)
    refused: list[RejectedImage] = []
    for i, image in enumerate(_images(wanted)):
        if isinstance(image, RejectedImage):
            refused.append(image)
        else:
            images[i], kept[i] = image, True
        if (i + 1) % 100 == 0 or i + 1 == n:
            progress("decoding joints", i + 1, n)
    excluded = dict(sorted(Counter(f"image {image.kind}" for image in refused).items()))
    _refuse_if_too_many(n, refused, excluded, max_bad_share, min_rows_for_bad_share)
    if len(latest.conflicting):
        excluded[READ_DIFFERENTLY] = len(latest.conflicting)
    conflicting = [
        (str(radiograph), str(joint)) for radiograph, joint in latest.conflicting.itertuples(index=False, name=None)
    ]
    for radiograph, joint in conflicting:
        logger.warning("joint_left_out radiograph=%s joint=%s reason=%s", radiograph, joint, READ_DIFFERENTLY)
    for each in refused:
        logger.warning("joint_left_out file=%s reason=%s", each.uri, each.reason)
    joints = _joint_set(wanted, images)
    return Snapshot(joints if kept.all() else joints.take(kept), excluded, refused, conflicting, latest.n_discordant)


def _images(wanted: "pd.DataFrame") -> Iterator[NDArray[np.uint8] | RejectedImage]:
    rows = wanted[["image_sha256", "sop_iuid", "joint", "uri"]].itertuples(index=False, name=None)
    for _, image in load_images(rows, SIDE, ahead=_AHEAD):
        yield image


def _joint_set(wanted: "pd.DataFrame", images: NDArray[np.uint8]) -> JointSet:
    return JointSet(
        images=images,
        reading=wanted["reading_percent"].to_numpy(np.float32),
        truth=np.full(len(wanted), np.nan, np.float32),
        patient_id=wanted["patient_id"].to_numpy(np.str_),
        joint=wanted["joint"].to_numpy(np.str_),
        sop_iuid=wanted["sop_iuid"].to_numpy(np.str_),
        year=wanted["year"].to_numpy(np.int64),
    )


def _refuse_if_too_many(
    n: int, refused: list[RejectedImage], excluded: dict[str, int], max_bad_share: float, min_rows: int
) -> None:
    if len(refused) == n >= _WHOLE_STORAGE and set(excluded) == {"image gone"}:
        raise StorageUnavailable(
            f"none of the {n} images that were accepted can be found any more, such as {refused[0].uri}: is their "
            "storage still mounted?"
        )
    if n >= min_rows and len(refused) / n > max_bad_share:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in excluded.items())
        raise BadInput(
            f"{len(refused)} of {n} images of read joints cannot be used any more ({len(refused) / n:.0%}, allowed are "
            f"{max_bad_share:.0%}): {reasons}. For example {refused[0].uri}: {refused[0].reason}"
        )
