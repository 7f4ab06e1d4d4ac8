"""What a site's own readings give a network to learn from, and which snapshot a retraining took of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from scoring.warehouse.engine import transaction

# As of a date, a reading is there from the folder that first brought it until the folder that withdrew it. A correction
# leaves no trace of what stood before, so a cut-off in the past sees corrected readings as they are today.
_READ_JOINTS = """
SELECT
    i.image_sha256,
    i.uri,
    i.sop_iuid,
    i.joint,
    f.patient_id,
    CAST(extract(YEAR FROM f.visit_date) AS integer) AS year,
    r.erosion_percent,
    r.read_on,
    r.id_x
FROM imaging.joint_image AS i
INNER JOIN registry.radiograph AS f ON f.sop_iuid = i.sop_iuid
INNER JOIN registry.joint_reading AS r ON r.sop_iuid = i.sop_iuid AND r.joint = i.joint
WHERE i.batch_date <= :cut_off
    AND r.first_batch_date <= :cut_off
    AND (r.withdrawn_on IS NULL OR r.withdrawn_on > :cut_off)
ORDER BY f.patient_id, i.sop_iuid, i.joint, r.read_on NULLS FIRST, r.id_x
"""


@dataclass(frozen=True)
class SnapshotFacts:
    """What the warehouse keeps of a training snapshot.

    Attributes:
        sha256: Hash of the set.
        cut_off: Newest landing folder whose images and readings were taken.
        preprocessing_version: How bytes became pixels.
        n_joints: Joints in the set.
        n_patients: Patients behind them.
        joints_by_grade: Joints read as grade 0 to 5.
        left_out: Read joints that were left out, by reason.
        read_differently: Joints of the set that were read more than once, with different values.
        synthetic: Whether any image came from a folder of synthetic phantoms.
    """

    sha256: str
    cut_off: date
    preprocessing_version: str
    n_joints: int
    n_patients: int
    joints_by_grade: Sequence[int]
    left_out: Mapping[str, int]
    read_differently: int
    synthetic: bool


def newest_folder(engine: Engine) -> date | None:
    """The newest landing folder that brought a reading or an image; None for an empty warehouse."""
    with transaction(engine) as connection:
        newest: date | None = connection.scalar(
            sa.text(
                "SELECT greatest((SELECT max(batch_date) FROM imaging.joint_image),"
                " (SELECT max(first_batch_date) FROM registry.joint_reading))"
            )
        )
    return newest


def read_joints(engine: Engine, cut_off: date) -> pd.DataFrame:
    """Every reading of every joint whose image was accepted, as far as landed by a date.

    Joints that nobody read and operated joints have no reading and do not appear.

    Args:
        engine: The warehouse.
        cut_off: The newest landing folder to take images and readings from.

    Returns:
        image_sha256, uri, sop_iuid, joint, patient_id, year (of the visit), erosion_percent, read_on, id_x. One row a
        reading, so a joint that was read twice has two; sorted by patient, film and joint, the latest reading of a
        joint last.
    """
    with transaction(engine) as connection:
        return pd.read_sql_query(
            sa.text(_READ_JOINTS),
            connection,
            params={"cut_off": cut_off},
            dtype={
                **dict.fromkeys(("image_sha256", "uri", "sop_iuid", "joint", "patient_id", "id_x"), "str"),
                "year": "int64",
                "erosion_percent": "float64",
            },
        )


def record_snapshot(engine: Engine, run_id: UUID | str, facts: SnapshotFacts) -> None:
    """Write down which snapshot a retraining took. A step that is tried again and finds the same changes nothing."""
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO scoring.training_snapshot (run_id, snapshot_sha256, cut_off, preprocessing_version,"
                " n_joints, n_patients, joints_by_grade, left_out, read_differently, synthetic)"
                " VALUES (:run_id, :sha256, :cut_off, :preprocessing_version, :n_joints, :n_patients,"
                " :joints_by_grade, CAST(:left_out AS jsonb), :read_differently, :synthetic)"
                " ON CONFLICT (run_id, snapshot_sha256) DO NOTHING"
            ),
            {
                "run_id": str(run_id),
                "sha256": facts.sha256,
                "cut_off": facts.cut_off,
                "preprocessing_version": facts.preprocessing_version,
                "n_joints": facts.n_joints,
                "n_patients": facts.n_patients,
                "joints_by_grade": list(facts.joints_by_grade),
                "left_out": json.dumps(dict(facts.left_out), sort_keys=True),
                "read_differently": facts.read_differently,
                "synthetic": facts.synthetic,
            },
        )
