"""Reads which part of the history still waits for a newly promoted model."""

from collections.abc import Iterator
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.statements import statement

_N_WAITING = "SELECT count(*) FROM scoring.waiting_images(:model_version)"


def newest_batch(connection: Connection) -> date | None:
    """Return the newest batch with accepted images; None if no image was ever accepted."""
    query = "SELECT max(batch_date) FROM scoring.run WHERE run_id IN (SELECT run_id FROM imaging.joint_image)"
    found: date | None = connection.scalar(sa.text(query))
    return found


def n_waiting(connection: Connection, model_version: str) -> int:
    """Return the number of accepted images without a prediction by a model."""
    return int(connection.execute(sa.text(_N_WAITING), {"model_version": model_version}).scalar_one())


def n_waiting_rejected(connection: Connection, model_version: str) -> int:
    """Return the number of waiting images that a rescoring rejected, because their files are missing or changed."""
    rejected = (
        " WHERE image_sha256 IN (SELECT rejection.image_sha256 FROM scoring.rescoring_rejection AS rejection"
        " INNER JOIN scoring.run USING (run_id) WHERE run.model_version = :model_version)"
    )
    return int(connection.execute(sa.text(_N_WAITING + rejected), {"model_version": model_version}).scalar_one())


def waiting_images(
    connection: Connection, model_version: str, *, rows_per_frame: int, not_rejected_by: UUID | str | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the accepted images without a prediction by a model, sorted by patient, visit, radiograph and joint.

    The joints of a visit are consecutive, so one shard scores most visits completely. Frames are fetched one by one,
    because a history of millions of images would not fit into memory. The images that the rescoring `not_rejected_by`
    rejected are excluded.

    Yields:
        image_sha256, sop_iuid, joint, uri, and batch_date: the batch of the run that first accepted the image.
    """
    found = connection.execute(
        statement("waiting_images"),
        {"model_version": model_version, "not_rejected_by": not_rejected_by},
        execution_options={"yield_per": rows_per_frame},
    )
    columns = list(found.keys())
    for rows in found.partitions(rows_per_frame):
        yield pd.DataFrame(rows, columns=columns)


def rejections(connection: Connection, run_id: UUID | str, limit: int) -> list[tuple[str, str]]:
    """Return location and reason of images that a rescoring could not score: at most `limit`, sorted by location."""
    query = (
        "SELECT image.uri, rejection.reason FROM scoring.rescoring_rejection AS rejection"
        " INNER JOIN imaging.joint_image AS image USING (image_sha256)"
        " WHERE rejection.run_id = :run_id ORDER BY image.uri LIMIT :limit"
    )
    return [(row.uri, row.reason) for row in connection.execute(sa.text(query), {"run_id": run_id, "limit": limit})]


def radiographs_without_rau(connection: Connection, model_version: str) -> list[str]:
    """Return radiographs with predictions by a model that lack a current Rau score, of their own or of their visit."""
    return list(connection.scalars(statement("radiographs_without_rau"), {"model_version": model_version}))


def former_champion(connection: Connection, model_version: str) -> str | None:
    """Return the last champion other than this model; None if there was none."""
    query = (
        "SELECT promotion.version FROM scoring.activation INNER JOIN scoring.promotion USING (promotion_id)"
        " WHERE promotion.version <> :model_version ORDER BY activation_id DESC LIMIT 1"
    )
    found: str | None = connection.scalar(sa.text(query), {"model_version": model_version})
    return found


def dates_without_correlation(connection: Connection, model_version: str) -> list[date]:
    """Return the dates with correlations of the previous champion but not of this model, oldest first."""
    query = (
        "SELECT as_of FROM analytics.correlation WHERE model_version = :former"
        " EXCEPT SELECT as_of FROM analytics.correlation WHERE model_version = :model_version ORDER BY as_of"
    )
    params = {"model_version": model_version, "former": former_champion(connection, model_version)}
    return list(connection.scalars(sa.text(query), params))


def is_complete(connection: Connection, model_version: str) -> bool:
    """Return whether no part of the history waits for a model, so that the views can show it at once."""
    return not (
        n_waiting(connection, model_version)
        or radiographs_without_rau(connection, model_version)
        or dates_without_correlation(connection, model_version)
    )
