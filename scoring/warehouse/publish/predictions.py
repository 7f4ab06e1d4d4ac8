"""Writes joint images, their predictions, and the Rau scores computed from them."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Connection

from scoring.errors import BadInput
from scoring.warehouse.bulk import UpsertCounts, insert_missing, upsert
from scoring.warehouse.queries.nightly import already_scored
from scoring.warehouse.statements import statement

PREDICTION_KEY = ("image_sha256", "model_version", "preprocessing_version")
_MAX_NAMED = 5


@dataclass(frozen=True)
class PredictionRun:
    """Values that all predictions of one run share."""

    run_id: UUID | str
    batch_date: date
    model_version: str
    preprocessing_version: str
    code_revision: str


@dataclass(frozen=True)
class PredictionCounts:
    """Numbers of images of a run by outcome; a run with `missing` images, without any prediction, must fail."""

    scored: int
    already_scored: int
    missing: int


def publish_predictions(
    connection: Connection, run: PredictionRun, images: pd.DataFrame, predictions: pd.DataFrame
) -> PredictionCounts:
    """Write the new accepted images and the new predictions. Nothing is overwritten.

    Args:
        connection: Inside the publishing transaction, after the registry was published.
        run: The run, its batch and its model.
        images: Accepted images as staged; an image may occur twice, from two batches.
        predictions: Predictions of all shards, with the `engine` ("openvino/float32") of each, because shards may run
            on different engines. The warehouse does not store the predicted distribution.

    Returns:
        Numbers that add up to the rows of `images`.

    Raises:
        BadInput: Since validation, another run has published other bytes for a joint, or the same bytes for another
            joint.
    """
    _check_conflicts(connection, images)
    insert_missing(connection, "imaging.joint_image", _joint_images(images, run), key=("sop_iuid", "joint"))
    is_new = insert_missing(
        connection, "scoring.joint_prediction", joint_prediction_rows(predictions, run), key=PREDICTION_KEY
    )
    with_prediction = already_scored(connection, list(images["sha256"]), run.model_version, run.preprocessing_version)
    scored = int(is_new.sum())
    present = int(images["sha256"].isin(with_prediction).sum())
    return PredictionCounts(scored, present - scored, len(images) - present)


def publish_rau(connection: Connection, run: PredictionRun, frame: pd.DataFrame) -> UpsertCounts:
    """Write Rau scores of radiographs and visits; the score of a visit with new joints is updated.

    Args:
        connection: Inside the publishing transaction.
        run: The run, its batch and its model.
        frame: scope ('radiograph' or 'visit'), patient_id, visit_date, sop_iuid ('' for a visit), rau_expected,
            rau_median, rau_q05, rau_q95, rau_from_grades (points), n_scored (1-38). A rescoring also gives
            `batch_date`, because its scores belong to different batches.
    """
    batch_date = frame["batch_date"] if "batch_date" in frame.columns else run.batch_date
    rows = frame.assign(
        model_version=run.model_version,
        preprocessing_version=run.preprocessing_version,
        batch_date=batch_date,
        first_batch_date=batch_date,
        run_id=str(run.run_id),
        scored_at=pd.Timestamp.now(tz="UTC"),
    )
    return upsert(
        connection,
        "scoring.rau_prediction",
        rows,
        key=("scope", "patient_id", "visit_date", "sop_iuid", "model_version", "preprocessing_version"),
        payload=("rau_expected", "rau_median", "rau_q05", "rau_q95", "rau_from_grades", "n_scored"),
        provenance=("batch_date", "first_batch_date", "run_id", "scored_at"),
    )


def joint_prediction_rows(predictions: pd.DataFrame, run: PredictionRun) -> pd.DataFrame:
    """Return predictions of shards, with their `engine`, as rows of `scoring.joint_prediction`."""
    columns = ["image_sha256", "sop_iuid", "joint", "predicted_percent", "predicted_median", "predicted_q05"]
    return predictions[[*columns, "predicted_q95", "predicted_grade", "grade_probability", "engine"]].assign(
        model_version=run.model_version,
        preprocessing_version=run.preprocessing_version,
        code_revision=run.code_revision,
        run_id=str(run.run_id),
        batch_date=run.batch_date,
    )


def _check_conflicts(connection: Connection, images: pd.DataFrame) -> None:
    found = connection.scalars(
        statement("conflicting_images"),
        {
            "source_files": list(images["source_file"]),
            "sop_iuids": list(images["sop_iuid"]),
            "joints": list(images["joint"]),
            "sha256s": list(images["sha256"]),
        },
    ).all()
    if found:
        more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
        raise BadInput(
            f"Since this batch was validated, another run has published another image of the same joint, or the same "
            f"image for another joint, for {', '.join(found[:_MAX_NAMED])}{more}. Clear the task `validate` and its "
            "downstream tasks."
        )


def _joint_images(images: pd.DataFrame, run: PredictionRun) -> pd.DataFrame:
    first = images.sort_values("batch_date", kind="stable").drop_duplicates(["sop_iuid", "joint"])
    columns = ["sop_iuid", "joint", "sha256", "file_name", "uri", "size_bytes", "width", "height", "color_space"]
    rows = first[[*columns, "brightness", "contrast", "batch_date"]].rename(columns={"sha256": "image_sha256"})
    return rows.assign(run_id=str(run.run_id))
