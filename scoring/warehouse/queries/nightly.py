"""Reads which records and images the warehouse already has, for the steps of a nightly run."""

from collections.abc import Sequence

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import transaction
from scoring.warehouse.statements import read_frame, statement

# Rules of expectations/images.py with a verdict that never changes: they depend on the bytes and name of a file alone,
# or the file is an exact copy of an accepted image.
LASTING_RULES = (
    "images.name_matches",
    "images.joint_known",
    "images.decodes",
    "images.color_space",
    "images.width_in_range",
    "images.height_in_range",
    "images.not_blank",
    "images.not_too_dark",
    "images.not_saturated",
    "images.exact_copy",
)


def landing_files(engine: Engine, source_files: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of each of these table files that a run has published."""
    query = sa.text("SELECT source_file, sha256 FROM registry.landing_file WHERE source_file = ANY(:source_files)")
    with transaction(engine) as connection:
        found = connection.execute(query, {"source_files": sorted(set(source_files))})
        return {row.source_file: row.sha256 for row in found}


def known_radiographs(engine: Engine, sop_iuids: Sequence[str]) -> pd.DataFrame:
    """Return the radiographs of this list that are in the warehouse: sop_iuid, patient_id."""
    query = "SELECT sop_iuid, patient_id FROM registry.radiograph WHERE sop_iuid = ANY(:sop_iuids) ORDER BY 1"
    with transaction(engine) as connection:
        return read_frame(connection, query, "str", sop_iuids=sorted(set(sop_iuids)))


def known_images(engine: Engine, sop_iuids: Sequence[str], sha256s: Sequence[str] = ()) -> pd.DataFrame:
    """Return the images of these radiographs, or with these bytes: sop_iuid, joint, image_sha256."""
    query = (
        "SELECT sop_iuid, joint, image_sha256 FROM imaging.joint_image"
        " WHERE sop_iuid = ANY(:sop_iuids) OR image_sha256 = ANY(:sha256s) ORDER BY sop_iuid, joint"
    )
    with transaction(engine) as connection:
        return read_frame(connection, query, "str", sop_iuids=sorted(set(sop_iuids)), sha256s=sorted(set(sha256s)))


def settled_files(engine: Engine, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the image files that need no further check, because they were accepted or rejected for good.

    A file that was rejected for another reason is not settled, because a missing record, such as the consultation of
    its radiograph, may have arrived since.

    Args:
        engine: The warehouse.
        keys: source_file and SHA-256 of the bytes of each file.

    Returns:
        The settled keys.
    """
    params = {"sha256s": sorted({sha256 for _, sha256 in keys}), "lasting_rules": list(LASTING_RULES)}
    with transaction(engine) as connection:
        found = connection.execute(statement("settled_image_files"), params)
        return {(row.source_file, row.sha256) for row in found} & set(keys)


def already_scored(
    connection: Connection, sha256s: Sequence[str], model_version: str, preprocessing_version: str
) -> set[str]:
    """Return the hashes of the images of this list that have a prediction by the model."""
    query = (
        "SELECT image_sha256 FROM scoring.joint_prediction WHERE image_sha256 = ANY(:sha256s)"
        " AND model_version = :model_version AND preprocessing_version = :preprocessing_version"
    )
    model = {"model_version": model_version, "preprocessing_version": preprocessing_version}
    return set(connection.scalars(sa.text(query), {"sha256s": sorted(set(sha256s)), **model}))
