"""The snapshot of read joints that a retraining uses: taken, stored under its own hash, validated, read again."""

import hashlib
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scoring.errors import BadInput
from scoring.pipeline.run import Run
from scoring.pipeline.run_folder import step
from scoring.progress import Progress, no_progress
from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    import pandas as pd
    from upath import UPath

    from scoring.training.data.joint_set import JointSet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """The read joints that a retraining uses.

    Attributes:
        sha256: Hash of the stored set, and its name.
        n_joints: Number of joints in it.
        n_patients: Number of patients.
        joints_by_grade: Number of joints read as grade 0 to 5.
        excluded: Number of read joints that were excluded, by reason.
        n_discordant: Number of joints with several, different readings.
        synthetic: True if any image came from a batch of synthetic phantoms.
    """

    sha256: str
    n_joints: int
    n_patients: int
    joints_by_grade: list[int]
    excluded: dict[str, int]
    n_discordant: int
    synthetic: bool


@step
def snapshot(settings: Settings, run: Run, progress: Progress = no_progress) -> Snapshot:
    """Read, check and decode every read joint, and store the set under its own hash.

    Raises:
        BadInput: Too many of the images cannot be used any more.
        StorageUnavailable: The storage of the images failed, or there is no space for the set.
    """
    import numpy as np

    from scoring.contract import any_synthetic
    from scoring.imaging.preprocess import PREPROCESSING_VERSION
    from scoring.training.data import joint_set
    from scoring.training.data.snapshot import take_snapshot
    from scoring.warehouse.publish import challenges
    from scoring.warehouse.queries import training_data

    engine = connect.warehouse(settings)
    readings = training_data.read_joints(engine, run.batch_date)
    taken = take_snapshot(
        readings,
        max_bad_share=settings.max_bad_share,
        min_rows_for_bad_share=settings.min_rows_for_bad_share,
        progress=progress,
    )
    joints = taken.joints
    found = Snapshot(
        sha256=joint_set.snapshot_sha256(joints),
        n_joints=len(joints),
        n_patients=len(np.unique(joints.patient_id)),
        joints_by_grade=np.bincount(joints.grades, minlength=6).tolist(),
        excluded=taken.excluded,
        n_discordant=taken.n_discordant,
        synthetic=any_synthetic(readings["uri"]),
    )
    path = _snapshot_path(settings, found.sha256)
    if not path.exists():
        joint_set.write_joint_set(path, joints)
    facts = challenges.SnapshotFacts(
        cut_off=run.batch_date, preprocessing_version=PREPROCESSING_VERSION, **asdict(found)
    )
    challenges.record_snapshot(engine, run.run_id, facts)
    log.info("snapshot_taken run_id=%s n=%d excluded=%s", run.run_id, found.n_joints, found.excluded)
    return found


@step
def validate(settings: Settings, run: Run, taken: Snapshot) -> dict[str, int]:
    """Run the suite on the snapshot, before hours of training.

    Returns:
        Number of joints for training, validation and test, by part.

    Raises:
        BadInput: The set cannot be used; the message lists why.
    """
    from scoring.training.evaluation.challenge import MIN_TEST_PATIENTS
    from scoring.validation.docs import BatchDocs
    from scoring.validation.training_set import check_training_set

    docs = BatchDocs(settings.report_url, run.batch_date, run.run_id)
    try:
        verdict = check_training_set(
            _as_frame(joints_of(settings, taken)), settings, min_test_patients=MIN_TEST_PATIENTS, docs=docs
        )
    finally:
        docs.write()
    for rule, n in verdict.remarks.items():
        log.warning("training_set_remark run_id=%s rule=%s joints=%d", run.run_id, rule, n)
    return {part: sum(by_grade) for part, by_grade in verdict.joints.items()}


def _snapshot_path(settings: Settings, sha256: str) -> "UPath":
    from upath import UPath

    return UPath(settings.staging_url) / "snapshots" / f"{sha256}.npz"


def joints_of(settings: Settings, taken: Snapshot) -> "JointSet":
    """Read the stored set, and compare it with the hash in its name."""
    from scoring.training.data import joint_set

    path = _snapshot_path(settings, taken.sha256)
    joints = joint_set.read_joint_set(path)
    if joint_set.snapshot_sha256(joints) != taken.sha256:
        raise BadInput(f"{path} was changed after it was stored. Delete it and repeat the step snapshot.")
    return joints


def _as_frame(joints: "JointSet") -> "pd.DataFrame":
    """Return the set as the frame that its suite reads."""
    import pandas as pd

    from scoring.training.data.joint_set import split_of

    patients = pd.Series(joints.patient_id, dtype="str")
    return pd.DataFrame(
        {
            "pixels_sha256": [hashlib.sha256(image).hexdigest() for image in joints.images],
            "joint": pd.Series(joints.joint, dtype="str"),
            "patient_id": patients,
            "part": patients.map({patient: split_of(patient) for patient in patients.unique()}),
            "reading_percent": joints.reading.astype("float64"),
            "grade": joints.grades,
        }
    )
