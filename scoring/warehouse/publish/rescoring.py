"""Writes the predictions of a rescoring, next to those of the previous champion.

The history of a model is complete if every accepted image has a prediction by it, every radiograph and visit has a Rau
score from these predictions, and every date with correlations of the previous champion has correlations of the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import insert_missing
from scoring.warehouse.publish.predictions import PredictionRun


@dataclass(frozen=True)
class ShardCounts:
    """Numbers of images of a shard by outcome; they add up to `planned` if no image was lost."""

    planned: int
    scored: int
    already_scored: int
    rejected: int


def publish_shard(
    connection: Connection,
    run: PredictionRun,
    planned: pd.DataFrame,
    predictions: pd.DataFrame,
    rejected: Mapping[str, str],
) -> ShardCounts:
    """Write the new predictions of a shard, and the images that could not be scored.

    Args:
        connection: Inside the publishing transaction.
        run: The rescoring and its model.
        planned: The images of the shard, as from `queries.rescoring.waiting_images`.
        predictions: Predictions of the shard, with the `engine` that made them.
        rejected: Reason why an image could not be scored, by its SHA-256.

    Returns:
        Numbers of planned images by outcome; images scored by an earlier attempt of this run count as scored.
    """
    batch_date = predictions["image_sha256"].map(planned.set_index("image_sha256")["batch_date"])
    rows = predictions.assign(**(vars(run) | {"batch_date": batch_date}))
    insert_missing(connection, "scoring.joint_prediction", rows)
    reasons = pd.DataFrame({"image_sha256": list(rejected), "reason": list(rejected.values())}, dtype="str")
    insert_missing(connection, "scoring.rescoring_rejection", reasons.assign(run_id=str(run.run_id)))
    by_this_run, by_another = connection.execute(
        sa.text(
            "SELECT count(*) FILTER (WHERE run_id = :run_id), count(*) FILTER (WHERE run_id <> :run_id)"
            " FROM scoring.joint_prediction WHERE image_sha256 = ANY(:sha256s)"
            " AND model_version = :model_version AND preprocessing_version = :preprocessing_version"
        ),
        {**vars(run), "sha256s": list(planned["image_sha256"])},
    ).one()
    return ShardCounts(len(planned), by_this_run, by_another, len(rejected))
