"""Writes the predictions of a rescoring, next to those of the former champion.

The history of a model is complete if every accepted image has a prediction by it, every radiograph and visit has a Rau
score from these predictions, and every date with correlations of the former champion has correlations of the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.bulk import insert_missing
from scoring.warehouse.publish.predictions import PREDICTION_KEY, PredictionRun, joint_prediction_rows


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
    batch_date = planned.set_index("image_sha256")["batch_date"]
    rows = joint_prediction_rows(predictions, run).assign(batch_date=predictions["image_sha256"].map(batch_date))
    insert_missing(connection, "scoring.joint_prediction", rows, key=PREDICTION_KEY)
    reasons = pd.DataFrame({"image_sha256": list(rejected), "reason": list(rejected.values())}, dtype="str")
    key = ("run_id", "image_sha256")
    insert_missing(connection, "scoring.rescoring_rejection", reasons.assign(run_id=str(run.run_id)), key=key)
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
    return ShardCounts(len(planned), by_this_run, by_another, len(rejected))
