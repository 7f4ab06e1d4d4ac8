"""What of the history still waits for a newly promoted model."""

from collections.abc import Iterator
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

WAITING_COLUMNS = ("image_sha256", "sop_iuid", "joint", "uri", "night")


# The night of an image is that of the run which first accepted it: there it was scored by the model of the time. An
# image that arrived late lies in the folder of another night.
_WAITING = """
FROM imaging.joint_image AS image
INNER JOIN scoring.model_version AS model ON model.version = :model_version
INNER JOIN registry.radiograph AS radiograph ON radiograph.sop_iuid = image.sop_iuid
INNER JOIN scoring.run AS accepting ON accepting.run_id = image.run_id
WHERE NOT EXISTS (
    SELECT FROM scoring.joint_prediction AS prediction
    WHERE prediction.image_sha256 = image.image_sha256 AND prediction.model_version = model.version
        AND prediction.preprocessing_version = model.preprocessing_version
)
"""


_NOT_REFUSED = """
AND NOT EXISTS (
    SELECT FROM scoring.rescoring_rejection AS refusal
    WHERE refusal.image_sha256 = image.image_sha256 AND refusal.run_id = CAST(:run_id AS uuid)
)
"""


# A radiograph that the registry has moved since has no score where it now is, or left a visit whose score still counts it.
_RADIOGRAPHS_WITHOUT_RAU = """
WITH visit AS (
    SELECT
        radiograph.patient_id,
        radiograph.visit_date,
        model.version,
        model.preprocessing_version,
        array_agg(DISTINCT prediction.sop_iuid) AS radiographs,
        count(DISTINCT prediction.joint) AS n_joints
    FROM scoring.joint_prediction AS prediction
    INNER JOIN scoring.model_version AS model
        ON model.version = prediction.model_version AND model.preprocessing_version = prediction.preprocessing_version
    INNER JOIN registry.radiograph AS radiograph ON radiograph.sop_iuid = prediction.sop_iuid
    WHERE prediction.model_version = :model_version
    GROUP BY radiograph.patient_id, radiograph.visit_date, model.version, model.preprocessing_version
)
SELECT radiograph.sop_iuid
FROM visit
CROSS JOIN LATERAL unnest(visit.radiographs) AS radiograph (sop_iuid)
LEFT JOIN scoring.rau_prediction AS of_visit
    ON of_visit.scope = 'visit' AND of_visit.patient_id = visit.patient_id AND of_visit.visit_date = visit.visit_date
    AND of_visit.model_version = visit.version AND of_visit.preprocessing_version = visit.preprocessing_version
LEFT JOIN scoring.rau_prediction AS of_radiograph
    ON of_radiograph.scope = 'radiograph' AND of_radiograph.patient_id = visit.patient_id AND of_radiograph.visit_date = visit.visit_date
    AND of_radiograph.sop_iuid = radiograph.sop_iuid
    AND of_radiograph.model_version = visit.version AND of_radiograph.preprocessing_version = visit.preprocessing_version
WHERE of_radiograph.n_scored IS NULL OR of_visit.n_scored IS DISTINCT FROM visit.n_joints
ORDER BY radiograph.sop_iuid
"""


_DATES_WITHOUT_CORRELATION = """
SELECT DISTINCT as_of FROM analytics.correlation
WHERE model_version = :former AND as_of NOT IN (
    SELECT as_of FROM analytics.correlation WHERE model_version = :model_version
)
ORDER BY as_of
"""


def newest_batch(connection: Connection) -> date | None:
    """The newest night whose images were accepted; None if no image ever was."""
    found: date | None = connection.scalar(
        sa.text("SELECT max(batch_date) FROM scoring.run WHERE run_id IN (SELECT run_id FROM imaging.joint_image)")
    )
    return found


def n_waiting(connection: Connection, model_version: str) -> int:
    """Number of accepted images without a prediction of a model."""
    return int(
        connection.execute(sa.text(f"SELECT count(*) {_WAITING}"), {"model_version": model_version}).scalar_one()
    )


def n_waiting_rejected(connection: Connection, model_version: str) -> int:
    """Of these the number whose files a rescoring with the model found gone or changed."""
    return int(
        connection.execute(
            sa.text(
                f"SELECT count(*) {_WAITING}"  # noqa: S608 - a constant of this module
                " AND image.image_sha256 IN (SELECT refusal.image_sha256 FROM scoring.rescoring_rejection AS refusal"
                " INNER JOIN scoring.run USING (run_id) WHERE run.model_version = :model_version)"
            ),
            {"model_version": model_version},
        ).scalar_one()
    )


def waiting_images(
    connection: Connection, model_version: str, *, rows_per_frame: int, not_rejected_by: UUID | str | None = None
) -> Iterator[pd.DataFrame]:
    """Accepted images without a prediction of a model, in the order of patient, visit, radiograph and joint.

    A visit's joints follow each other, so most visits are scored by one shard. Frames are fetched one by one: a history
    of millions of images is never in memory as a whole.

    Args:
        connection: Inside the caller's transaction.
        model_version: The model.
        rows_per_frame: Images in every frame but the last.
        not_rejected_by: A rescoring whose refused images are left out.

    Yields:
        image_sha256, sop_iuid, joint, uri, and `night`, the night of the run that first accepted the image.
    """
    query = (
        "SELECT image.image_sha256, image.sop_iuid, image.joint, image.uri, accepting.batch_date AS night"
        f" {_WAITING}{_NOT_REFUSED if not_rejected_by else ''}"
        " ORDER BY radiograph.patient_id, radiograph.visit_date, image.sop_iuid, image.joint"
    )
    found = connection.execute(
        sa.text(query),
        {"model_version": model_version} | ({"run_id": str(not_rejected_by)} if not_rejected_by else {}),
        execution_options={"yield_per": rows_per_frame},
    )
    for rows in found.partitions(rows_per_frame):
        yield pd.DataFrame(rows, columns=list(WAITING_COLUMNS))


def rejections(connection: Connection, run_id: UUID | str, limit: int) -> list[tuple[str, str]]:
    """Where images lay that a rescoring could not score, and why: at most `limit`, in the order of the places."""
    found = connection.execute(
        sa.text(
            "SELECT image.uri, refusal.reason FROM scoring.rescoring_rejection AS refusal"
            " INNER JOIN imaging.joint_image AS image USING (image_sha256)"
            " WHERE refusal.run_id = CAST(:run_id AS uuid) ORDER BY image.uri LIMIT :limit"
        ),
        {"run_id": str(run_id), "limit": limit},
    )
    return [(row.uri, row.reason) for row in found]


def radiographs_without_rau(connection: Connection, model_version: str) -> list[str]:
    """Radiographs with predictions of a model whose Rau score, or whose visit's, does not stand on these."""
    return list(connection.scalars(sa.text(_RADIOGRAPHS_WITHOUT_RAU), {"model_version": model_version}))


def former_champion(connection: Connection, model_version: str) -> str | None:
    """The model that the views showed last before this one, or still show; None if there was none."""
    found: str | None = connection.scalar(
        sa.text(
            "SELECT promotion.version FROM scoring.activation INNER JOIN scoring.promotion USING (promotion_id)"
            " WHERE promotion.version <> :model_version ORDER BY activation_id DESC LIMIT 1"
        ),
        {"model_version": model_version},
    )
    return found


def dates_without_correlation(connection: Connection, model_version: str) -> list[date]:
    """Dates for which the former champion's correlations are kept and this model's are not, oldest first."""
    return list(
        connection.scalars(
            sa.text(_DATES_WITHOUT_CORRELATION),
            {"model_version": model_version, "former": former_champion(connection, model_version)},
        )
    )


def is_complete(connection: Connection, model_version: str) -> bool:
    """Whether nothing of the history waits for a model, so that the views can show it at once."""
    return not (
        n_waiting(connection, model_version)
        or radiographs_without_rau(connection, model_version)
        or dates_without_correlation(connection, model_version)
    )
