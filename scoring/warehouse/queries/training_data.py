"""What a site's own readings give a network to learn from, and which snapshot a retraining took of it."""

from datetime import date

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
    r.reading_percent,
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


def newest_batch(engine: Engine) -> date | None:
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
        image_sha256, uri, sop_iuid, joint, patient_id, year (of the visit), reading_percent, read_on, id_x. One row a
        reading, so a joint that was read twice has two; sorted by patient, radiograph and joint, the latest reading of a
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
                "reading_percent": "float64",
            },
        )
