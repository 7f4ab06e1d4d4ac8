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
    images = images.rename(columns={"sha256": "image_sha256"})
    _check_conflicts(connection, images)
    first = images.sort_values("batch_date", kind="stable").drop_duplicates(["sop_iuid", "joint"])
    insert_missing(connection, "imaging.joint_image", first.assign(run_id=str(run.run_id)))
    is_new = insert_missing(connection, "scoring.joint_prediction", predictions.assign(**vars(run)))
    sha256s = images["image_sha256"]
    with_prediction = already_scored(connection, list(sha256s), run.model_version, run.preprocessing_version)
    scored = int(is_new.sum())
    present = int(sha256s.isin(with_prediction).sum())
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
    batch_date = frame.get("batch_date", run.batch_date)
    dates = {"batch_date": batch_date, "first_batch_date": batch_date, "scored_at": pd.Timestamp.now(tz="UTC")}
    return upsert(connection, "scoring.rau_prediction", frame.assign(**(vars(run) | dates)))


def _check_conflicts(connection: Connection, images: pd.DataFrame) -> None:
    columns = {"source_files": "source_file", "sop_iuids": "sop_iuid", "joints": "joint", "sha256s": "image_sha256"}
    params = {name: list(images[column]) for name, column in columns.items()}
    found = connection.scalars(statement("conflicting_images"), params).all()
    if found:
        more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
        raise BadInput(
            "After this batch was validated, another run published other images of the same joints, or the same images "
            f"for other joints. Files that conflict: {', '.join(found[:_MAX_NAMED])}{more}. Clear the task `validate` "
            "and its downstream tasks."
        )
