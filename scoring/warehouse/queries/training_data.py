"""Reads the readings of a site for a retraining."""

from datetime import date

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from scoring.warehouse.engine import transaction
from scoring.warehouse.statements import read_frame, statement


def newest_batch(engine: Engine) -> date | None:
    """Return the newest batch with a reading or an image; None for an empty warehouse."""
    query = (
        "SELECT greatest((SELECT max(batch_date) FROM imaging.joint_image),"
        " (SELECT max(first_batch_date) FROM registry.joint_reading))"
    )
    with transaction(engine) as connection:
        newest: date | None = connection.scalar(sa.text(query))
    return newest


def read_joints(engine: Engine, cut_off: date) -> pd.DataFrame:
    """Return every reading of every joint with an accepted image, as of the batch `cut_off`.

    Joints that were not read, and operated joints, have no reading and are not included.

    Returns:
        image_sha256, uri, sop_iuid, joint, patient_id, year (of the visit), reading_percent, read_on, id_x. One row per
        reading, so a joint that was read twice has two rows; sorted by patient, radiograph and joint, with the latest
        reading of a joint last.
    """
    texts = ("image_sha256", "uri", "sop_iuid", "joint", "patient_id", "id_x")
    dtype = {**dict.fromkeys(texts, "str"), "year": "int64", "reading_percent": "float64"}
    with transaction(engine) as connection:
        return read_frame(connection, statement("readings_of_joints"), dtype, cut_off=cut_off)
