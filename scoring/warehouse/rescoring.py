"""The history under a newly promoted model: what waits for it, and how it is published beside the old predictions.

A model is complete when nothing of the history waits: every accepted image has a prediction of it, every film and visit
a Rau score of these, and every date for which the champion's correlations are kept has those of the new model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import insert_missing
from scoring.warehouse.predictions import PREDICTION_KEY, PredictionRun, joint_prediction_rows

WAITING_COLUMNS = ("image_sha256", "sop_iuid", "joint", "uri", "night")

# The night of an image is that of the run which first accepted it: there it was scored by the model of the time. An
# image that arrived late lies in the folder of another night.
_WAITING = """
FROM imaging.joint_image AS image
INNER JOIN scoring.model_version AS model ON model.version = :model_version
INNER JOIN registry.radiograph AS film ON film.sop_iuid = image.sop_iuid
INNER JOIN scoring.run AS accepting ON accepting.run_id = image.run_id
WHERE NOT EXISTS (
    SELECT FROM scoring.joint_prediction AS prediction
    WHERE prediction.image_sha256 = image.image_sha256 AND prediction.model_version = model.version
        AND prediction.preprocessing_version = model.preprocessing_version
)
"""

_NOT_REFUSED = """
AND NOT EXISTS (
    SELECT FROM scoring.rescoring_refusal AS refusal
    WHERE refusal.image_sha256 = image.image_sha256 AND refusal.run_id = CAST(:run_id AS uuid)
)
"""

# A film that the registry has moved since has no score where it now is, or left a visit whose score still counts it.
_FILMS_WITHOUT_RAU = """
WITH visit AS (
    SELECT
        film.patient_id,
        film.visit_date,
        model.version,
        model.preprocessing_version,
        array_agg(DISTINCT prediction.sop_iuid) AS films,
        count(DISTINCT prediction.joint) AS n_joints
    FROM scoring.joint_prediction AS prediction
    INNER JOIN scoring.model_version AS model
        ON model.version = prediction.model_version AND model.preprocessing_version = prediction.preprocessing_version
    INNER JOIN registry.radiograph AS film ON film.sop_iuid = prediction.sop_iuid
    WHERE prediction.model_version = :model_version
    GROUP BY film.patient_id, film.visit_date, model.version, model.preprocessing_version
)
SELECT film.sop_iuid
FROM visit
CROSS JOIN LATERAL unnest(visit.films) AS film (sop_iuid)
LEFT JOIN scoring.rau_prediction AS of_visit
    ON of_visit.scope = 'visit' AND of_visit.patient_id = visit.patient_id AND of_visit.visit_date = visit.visit_date
    AND of_visit.model_version = visit.version AND of_visit.preprocessing_version = visit.preprocessing_version
LEFT JOIN scoring.rau_prediction AS of_film
    ON of_film.scope = 'film' AND of_film.patient_id = visit.patient_id AND of_film.visit_date = visit.visit_date
    AND of_film.sop_iuid = film.sop_iuid
    AND of_film.model_version = visit.version AND of_film.preprocessing_version = visit.preprocessing_version
WHERE of_film.n_scored IS NULL OR of_visit.n_scored IS DISTINCT FROM visit.n_joints
ORDER BY film.sop_iuid
"""

_DATES_WITHOUT_CORRELATION = """
SELECT DISTINCT as_of FROM analytics.correlation
WHERE model_version = :former AND as_of NOT IN (
    SELECT as_of FROM analytics.correlation WHERE model_version = :model_version
)
ORDER BY as_of
"""


@dataclass(frozen=True)
class ShardCounts:
    """Images of one shard by what became of them; they add up to `planned` unless the job lost some."""

    planned: int
    scored: int
    already_scored: int
    refused: int


def newest_night(connection: Connection) -> date | None:
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


def n_waiting_refused(connection: Connection, model_version: str) -> int:
    """Of these the number whose files a rescoring with the model found gone or changed."""
    return int(
        connection.execute(
            sa.text(
                f"SELECT count(*) {_WAITING}"  # noqa: S608 - a constant of this module
                " AND image.image_sha256 IN (SELECT refusal.image_sha256 FROM scoring.rescoring_refusal AS refusal"
                " INNER JOIN scoring.run USING (run_id) WHERE run.model_version = :model_version)"
            ),
            {"model_version": model_version},
        ).scalar_one()
    )


def waiting_images(
    connection: Connection, model_version: str, *, rows_a_frame: int, not_refused_by: UUID | str | None = None
) -> Iterator[pd.DataFrame]:
    """Accepted images without a prediction of a model, in the order of patient, visit, film and joint.

    A visit's joints follow each other, so most visits are scored by one shard. Frames are fetched one by one: a history
    of millions of images is never in memory as a whole.

    Args:
        connection: Inside the caller's transaction.
        model_version: The model.
        rows_a_frame: Images in every frame but the last.
        not_refused_by: A rescoring whose refused images are left out.

    Yields:
        image_sha256, sop_iuid, joint, uri, and `night`, the night of the run that first accepted the image.
    """
    query = (
        "SELECT image.image_sha256, image.sop_iuid, image.joint, image.uri, accepting.batch_date AS night"
        f" {_WAITING}{_NOT_REFUSED if not_refused_by else ''}"
        " ORDER BY film.patient_id, film.visit_date, image.sop_iuid, image.joint"
    )
    found = connection.execute(
        sa.text(query),
        {"model_version": model_version} | ({"run_id": str(not_refused_by)} if not_refused_by else {}),
        execution_options={"yield_per": rows_a_frame},
    )
    for rows in found.partitions(rows_a_frame):
        yield pd.DataFrame(rows, columns=list(WAITING_COLUMNS))


def publish_shard(
    connection: Connection,
    run: PredictionRun,
    planned: pd.DataFrame,
    predictions: pd.DataFrame,
    refused: Mapping[str, str],
) -> ShardCounts:
    """Write the predictions of one shard that are new, and the images that it could not score.

    Args:
        connection: Inside the publishing transaction.
        run: The rescoring and its model.
        planned: The shard's images, as `waiting_images` gives them.
        predictions: Rows of the shard's Parquet with the `engine` that made them.
        refused: Why an image could not be scored, by its SHA-256.

    Returns:
        What became of the planned images; what this run scored on an earlier try counts as scored.
    """
    night = planned.set_index("image_sha256")["night"]
    rows = joint_prediction_rows(predictions, run).assign(batch_date=predictions["image_sha256"].map(night))
    insert_missing(connection, "scoring.joint_prediction", rows, key=PREDICTION_KEY)
    refusals = pd.DataFrame({"image_sha256": list(refused), "reason": list(refused.values())}, dtype="str")
    insert_missing(
        connection,
        "scoring.rescoring_refusal",
        refusals.assign(run_id=str(run.run_id)),
        key=("run_id", "image_sha256"),
    )
    by_this_run, by_another = connection.execute(
        sa.text(
            "SELECT count(*) FILTER (WHERE run_id = CAST(:run_id AS uuid)),"
            " count(*) FILTER (WHERE run_id <> CAST(:run_id AS uuid))"
            " FROM scoring.joint_prediction WHERE image_sha256 = ANY(:sha256s)"
            " AND model_version = :model_version AND preprocessing_version = :preprocessing_version"
        ),
        {
            "run_id": str(run.run_id),
            "sha256s": list(planned["image_sha256"]),
            "model_version": run.model_version,
            "preprocessing_version": run.preprocessing_version,
        },
    ).one()
    return ShardCounts(len(planned), by_this_run, by_another, len(refused))


def refusals(connection: Connection, run_id: UUID | str, limit: int) -> list[tuple[str, str]]:
    """Where images lay that a rescoring could not score, and why: at most `limit`, in the order of the places."""
    found = connection.execute(
        sa.text(
            "SELECT image.uri, refusal.reason FROM scoring.rescoring_refusal AS refusal"
            " INNER JOIN imaging.joint_image AS image USING (image_sha256)"
            " WHERE refusal.run_id = CAST(:run_id AS uuid) ORDER BY image.uri LIMIT :limit"
        ),
        {"run_id": str(run_id), "limit": limit},
    )
    return [(row.uri, row.reason) for row in found]


def films_without_rau(connection: Connection, model_version: str) -> list[str]:
    """Films with predictions of a model whose Rau score, or whose visit's, does not stand on these."""
    return list(connection.scalars(sa.text(_FILMS_WITHOUT_RAU), {"model_version": model_version}))


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
        or films_without_rau(connection, model_version)
        or dates_without_correlation(connection, model_version)
    )
