"""What the steps of the nightly job ask the warehouse before anything is validated or scored."""

from collections.abc import Sequence

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import transaction


def landing_files(source: Engine | Connection, source_files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of these table files as they were when a run last published them; unknown ones are left out."""
    if isinstance(source, Engine):
        with transaction(source) as connection:
            return landing_files(connection, source_files)
    found = source.execute(
        sa.text("SELECT source_file, sha256 FROM registry.landing_file WHERE source_file = ANY(:source_files)"),
        {"source_files": sorted(set(source_files))},
    )
    return {row.source_file: row.sha256 for row in found}


def known_radiographs(engine: Engine, sop_iuids: Sequence[str]) -> pd.DataFrame:
    """Radiographs that the warehouse knows, of those named: sop_iuid, patient_id."""
    with transaction(engine) as connection:
        return pd.read_sql_query(
            sa.text(
                "SELECT sop_iuid, patient_id FROM registry.radiograph WHERE sop_iuid = ANY(:sop_iuids)"
                " ORDER BY sop_iuid"
            ),
            connection,
            params={"sop_iuids": sorted(set(sop_iuids))},
            dtype="str",
        )


# Rules of expectations/images.py after which another look at the same file changes nothing: those about the bytes and
# the name alone, and an exact copy, whose image is there already.
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


def known_images(engine: Engine, sop_iuids: Sequence[str], sha256s: Sequence[str] = ()) -> pd.DataFrame:
    """Images that the warehouse has of these radiographs, or with these bytes: sop_iuid, joint, image_sha256."""
    with transaction(engine) as connection:
        return pd.read_sql_query(
            sa.text(
                "SELECT sop_iuid, joint, image_sha256 FROM imaging.joint_image"
                " WHERE sop_iuid = ANY(:sop_iuids) OR image_sha256 = ANY(:sha256s) ORDER BY sop_iuid, joint"
            ),
            connection,
            params={"sop_iuids": sorted(set(sop_iuids)), "sha256s": sorted(set(sha256s))},
            dtype="str",
        )


def settled_files(engine: Engine, keys: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which image files need no second look: accepted before, or refused for good.

    A file that was refused for another reason is not settled: what it lacked, such as a consultation of its radiograph, may
    have come since.

    Args:
        engine: The warehouse.
        keys: (source_file, SHA-256 of the bytes) of each file.

    Returns:
        Those of the keys that are settled.
    """
    with transaction(engine) as connection:
        found = connection.execute(
            sa.text(
                "SELECT CAST(batch_date AS text) || '/joints/' || file_name AS source_file, image_sha256 AS sha256"
                " FROM imaging.joint_image WHERE image_sha256 = ANY(:sha256s)"
                " UNION ALL"
                " SELECT source_file, content_sha256 FROM scoring.quarantine"
                " WHERE content_sha256 = ANY(:sha256s) AND NOT kept AND resolved_at IS NULL"
                " GROUP BY source_file, content_sha256 HAVING bool_and(rule = ANY(:lasting))"
            ),
            {"sha256s": sorted({sha256 for _, sha256 in keys}), "lasting": list(LASTING_RULES)},
        )
        return {(row.source_file, row.sha256) for row in found} & set(keys)


def already_scored(engine: Engine, sha256s: Sequence[str], model_version: str, preprocessing_version: str) -> set[str]:
    """Which of these images, by the hash of their bytes, this model has scored before."""
    with transaction(engine) as connection:
        return set(
            connection.scalars(
                sa.text(
                    "SELECT image_sha256 FROM scoring.joint_prediction WHERE image_sha256 = ANY(:sha256s)"
                    " AND model_version = :model_version AND preprocessing_version = :preprocessing_version"
                ),
                {
                    "sha256s": sorted(set(sha256s)),
                    "model_version": model_version,
                    "preprocessing_version": preprocessing_version,
                },
            )
        )
