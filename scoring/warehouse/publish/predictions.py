"""Publish joint images with their predictions, and the Rau scores made from them."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.errors import BadInput
from scoring.warehouse.bulk import UpsertCounts, insert_missing, upsert

PREDICTION_KEY = ("image_sha256", "model_version", "preprocessing_version")
_RAU_KEY = ("scope", "patient_id", "visit_date", "sop_iuid", "model_version", "preprocessing_version")
_FILES_NAMED = 5
_RAU = ("rau_expected", "rau_median", "rau_q05", "rau_q95", "rau_from_grades", "n_scored")


@dataclass(frozen=True)
class PredictionRun:
    """What all predictions of one run have in common."""

    run_id: UUID | str
    batch_date: date
    model_version: str
    preprocessing_version: str
    code_revision: str


@dataclass(frozen=True)
class PredictionCounts:
    """Images of a run by what became of them; `missing` ones have no prediction at all, and the books must not pass."""

    scored: int
    already_scored: int
    missing: int


def publish_predictions(
    connection: Connection, run: PredictionRun, images: pd.DataFrame, predictions: pd.DataFrame
) -> PredictionCounts:
    """Write the accepted images that are new, and the predictions that are new. Nothing is ever overwritten.

    Args:
        connection: Inside the publishing transaction, after the registry was published.
        run: The run, its night and its model.
        images: Accepted images in the shape in which landing stages them; an image may be there twice, from two
            folders.
        predictions: Rows of the shards' Parquet with the `engine` ("openvino/float32") that made each of them, as
            shards may run on different ones; the distribution itself is not kept in the warehouse.

    Returns:
        Counts that add up to the rows of `images`.

    Raises:
        BadInput: Since the night was validated, another run has published other bytes for a joint, or the same bytes
            for another joint.
    """
    _refuse_rivals(connection, images)
    insert_missing(connection, "imaging.joint_image", _joint_images(images, run), key=("sop_iuid", "joint"))
    is_new = insert_missing(
        connection, "scoring.joint_prediction", joint_prediction_rows(predictions, run), key=PREDICTION_KEY
    )
    with_prediction = set(
        connection.scalars(
            sa.text(
                "SELECT image_sha256 FROM scoring.joint_prediction WHERE image_sha256 = ANY(:sha256s)"
                " AND model_version = :model_version AND preprocessing_version = :preprocessing_version"
            ),
            {
                "sha256s": sorted(set(images["sha256"])),
                "model_version": run.model_version,
                "preprocessing_version": run.preprocessing_version,
            },
        )
    )
    scored = int(is_new.sum())
    present = int(images["sha256"].isin(with_prediction).sum())
    return PredictionCounts(scored, present - scored, len(images) - present)


def publish_rau(connection: Connection, run: PredictionRun, frame: pd.DataFrame) -> UpsertCounts:
    """Write Rau scores of radiographs and visits; a visit to which joints were added is updated.

    Args:
        connection: Inside the publishing transaction.
        run: The run, its night and its model.
        frame: scope ('radiograph' or 'visit'), patient_id, visit_date, sop_iuid ('' for a visit), rau_expected, rau_median,
            rau_q05, rau_q95, rau_from_grades, n_scored (1-38); of a rescored history also `night`, to which a score
            belongs if not to the run's.

    Returns:
        new, updated and unchanged rows.
    """
    night = frame["night"] if "night" in frame.columns else run.batch_date
    rows = frame.assign(
        model_version=run.model_version,
        preprocessing_version=run.preprocessing_version,
        batch_date=night,
        first_batch_date=night,
        run_id=str(run.run_id),
        scored_at=pd.Timestamp.now(tz="UTC"),
    )
    return upsert(
        connection,
        "scoring.rau_prediction",
        rows,
        key=_RAU_KEY,
        payload=_RAU,
        provenance=("batch_date", "first_batch_date", "run_id", "scored_at"),
    )


def joint_prediction_rows(predictions: pd.DataFrame, run: PredictionRun) -> pd.DataFrame:
    """Predictions of shards, with their `engine`, as rows of `scoring.joint_prediction` of the run's night."""
    columns = [
        "image_sha256",
        "sop_iuid",
        "joint",
        "predicted_percent",
        "predicted_median",
        "predicted_q05",
        "predicted_q95",
    ]
    return predictions[[*columns, "predicted_grade", "grade_probability", "engine"]].assign(
        model_version=run.model_version,
        preprocessing_version=run.preprocessing_version,
        code_revision=run.code_revision,
        run_id=str(run.run_id),
        batch_date=run.batch_date,
    )


def _refuse_rivals(connection: Connection, images: pd.DataFrame) -> None:
    found = connection.scalars(
        sa.text(
            "SELECT DISTINCT a.source_file FROM unnest(CAST(:source_files AS text[]), CAST(:sop_iuids AS text[]),"
            " CAST(:joints AS text[]), CAST(:sha256s AS text[])) AS a (source_file, sop_iuid, joint, sha256)"
            " LEFT JOIN imaging.joint_image AS of_joint USING (sop_iuid, joint)"
            " LEFT JOIN imaging.joint_image AS of_bytes ON of_bytes.image_sha256 = a.sha256"
            " WHERE of_joint.image_sha256 <> a.sha256"
            " OR (of_bytes.sop_iuid, of_bytes.joint) <> (a.sop_iuid, a.joint) ORDER BY 1"
        ),
        {
            "source_files": list(images["source_file"]),
            "sop_iuids": list(images["sop_iuid"]),
            "joints": list(images["joint"]),
            "sha256s": list(images["sha256"]),
        },
    ).all()
    if found:
        more = f" and {len(found) - _FILES_NAMED} more" if len(found) > _FILES_NAMED else ""
        raise BadInput(
            f"Another image of the same joint, or the same image as another joint, as {', '.join(found[:_FILES_NAMED])}"
            f"{more} was published by another run since this night was validated; clear `validate` and what follows."
        )


def _joint_images(images: pd.DataFrame, run: PredictionRun) -> pd.DataFrame:
    first = images.sort_values("batch_date", kind="stable").drop_duplicates(["sop_iuid", "joint"])
    columns = ["sop_iuid", "joint", "sha256", "file_name", "uri", "size_bytes", "width", "height", "color_space"]
    return (
        first[[*columns, "brightness", "contrast", "batch_date"]]
        .rename(columns={"sha256": "image_sha256", "batch_date": "batch_date"})
        .assign(run_id=str(run.run_id))
    )
