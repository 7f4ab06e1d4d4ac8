"""The history under a newly promoted model: what waits for it, and how it is published beside the old predictions.

A model is complete when nothing of the history waits: every accepted image has a prediction of it, every radiograph and visit
a Rau score of these, and every date for which the champion's correlations are kept has those of the new model.
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
    """Images of one shard by what became of them; they add up to `planned` unless the job lost some."""

    planned: int
    scored: int
    already_scored: int
    refused: int


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
        "scoring.rescoring_rejection",
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
