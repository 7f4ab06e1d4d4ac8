"""Models that the warehouse knows, and which of them is the champion."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from scoring.errors import InvalidRequest, ModelRefused
from scoring.warehouse.engine import transaction

WEIGHTS = "weights.npz"


class Champion(TypedDict):
    """The promoted model."""

    version: str
    architecture: str
    input_size: int
    preprocessing_version: str
    weights_sha256: str
    trained_on_synthetic: bool
    promoted_at: datetime
    promoted_by: str
    reason: str


def register_model(engine: Engine, manifest: Mapping[str, Any]) -> bool:
    """Make a model known. A version stands for one set of weights for ever.

    Args:
        engine: The warehouse.
        manifest: The model's manifest as the model store keeps it; version, architecture, input side, preprocessing
            version, the weights' SHA-256 and the mark of synthetic training become columns, all of it is kept as JSON.

    Returns:
        False if the model was known already.

    Raises:
        ModelRefused: The version is known with other weights, or the manifest lacks something.
        WarehouseUnavailable: The server cannot be reached.
    """
    row = _row(manifest)
    with transaction(engine) as connection:
        inserted = connection.execute(
            sa.text(
                "INSERT INTO scoring.model_version (version, architecture, input_size, preprocessing_version,"
                " weights_sha256, trained_on_synthetic, manifest)"
                " VALUES (:version, :architecture, :input_size, :preprocessing_version, :weights_sha256,"
                " :trained_on_synthetic, :manifest) ON CONFLICT (version) DO NOTHING"
            ),
            row,
        )
        known = connection.execute(
            sa.text("SELECT weights_sha256, preprocessing_version FROM scoring.model_version WHERE version = :version"),
            {"version": manifest["version"]},
        ).one()
    if (known.weights_sha256, known.preprocessing_version) != (row["weights_sha256"], row["preprocessing_version"]):
        raise ModelRefused(
            f"Model {manifest['version']} is known to the warehouse with other weights or preprocessing: "
            "a changed model needs a new version."
        )
    return inserted.rowcount == 1


def _row(manifest: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {
            "version": manifest["version"],
            "architecture": manifest["architecture"],
            "input_size": manifest["input_side"],
            "preprocessing_version": manifest["preprocessing_version"],
            "weights_sha256": manifest["files"][WEIGHTS]["sha256"],
            "trained_on_synthetic": manifest["trained_on_synthetic"],
            "manifest": json.dumps(manifest, sort_keys=True),
        }
    except KeyError as missing:
        raise ModelRefused(f"The model's manifest lacks {missing}: export the model again.") from missing


def promote(engine: Engine, version: str, promoted_by: str, reason: str) -> bool:
    """Make a registered model the champion, whose predictions the views show.

    Returns:
        False if it is the champion already; nothing is written then.

    Raises:
        InvalidRequest: The model is not registered, or nobody or no reason is named.
        WarehouseUnavailable: The server cannot be reached.
    """
    if not promoted_by.strip() or not reason.strip():
        raise InvalidRequest("A promotion needs a person and a reason.")
    with transaction(engine) as connection:
        if not connection.scalar(
            sa.text("SELECT count(*) FROM scoring.model_version WHERE version = :version"), {"version": version}
        ):
            raise InvalidRequest(f"Model {version} is not registered in this warehouse: see `scoring status`.")
        # Two promotions of the same model at once would both see the old champion.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('scoring:promote', 0))"))
        champions = sa.text("SELECT version FROM scoring.promotion ORDER BY promotion_id DESC LIMIT 1")
        if connection.scalar(champions) == version:
            return False
        connection.execute(
            sa.text("INSERT INTO scoring.promotion (version, promoted_by, reason) VALUES (:version, :by, :reason)"),
            {"version": version, "by": promoted_by, "reason": reason},
        )
    return True


def champion(engine: Engine) -> Champion | None:
    """The promoted model; None before the first promotion."""
    with transaction(engine) as connection:
        row = (
            connection.execute(
                sa.text(
                    "SELECT m.version, m.architecture, m.input_size, m.preprocessing_version, m.weights_sha256,"
                    " m.trained_on_synthetic, p.promoted_at, p.promoted_by, p.reason"
                    " FROM scoring.promotion AS p INNER JOIN scoring.model_version AS m ON m.version = p.version"
                    " ORDER BY p.promotion_id DESC LIMIT 1"
                )
            )
            .mappings()
            .one_or_none()
        )
    return None if row is None else Champion(**row)  # type: ignore[typeddict-item]
