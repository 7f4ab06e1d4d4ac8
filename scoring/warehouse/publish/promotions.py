"""Registers models, promotes them, and activates the promoted model as the champion.

A promotion names the next champion; its activation takes effect in the views. The history is rescored between the two.
Until then, nightly runs score with the previous champion, and the views show it.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.errors import InvalidRequest, ModelRejected
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import runs
from scoring.warehouse.publish.analytics import publish_model_comparison
from scoring.warehouse.queries.models import champion, promoted
from scoring.warehouse.queries.rescoring import former_champion, is_complete
from scoring.warehouse.statements import insert


def register_model(engine: Engine, manifest: Mapping[str, Any]) -> bool:
    """Register a model with its manifest from the model store. The weights of a version never change.

    Returns:
        False if the model was registered before.

    Raises:
        ModelRejected: The version is registered with other weights, or the manifest lacks a value.
    """
    try:
        row = {
            "version": manifest["version"],
            "architecture": manifest["architecture"],
            "input_size": manifest["input_side"],
            "preprocessing_version": manifest["preprocessing_version"],
            "weights_sha256": manifest["files"]["weights.npz"]["sha256"],
            "trained_on_synthetic": manifest["trained_on_synthetic"],
            "manifest": json.dumps(manifest, sort_keys=True),
        }
    except KeyError as missing:
        raise ModelRejected(f"The model's manifest lacks {missing}. Export the model again.") from missing
    with transaction(engine) as connection:
        is_new = insert(connection, "scoring.model_version", row, keep_existing=True)
        known = connection.execute(
            sa.text("SELECT weights_sha256, preprocessing_version FROM scoring.model_version WHERE version = :version"),
            row,
        ).one()
    if (known.weights_sha256, known.preprocessing_version) != (row["weights_sha256"], row["preprocessing_version"]):
        raise ModelRejected(
            f"Model {manifest['version']} is registered in the warehouse with other weights or preprocessing. Store "
            "the changed model under a new version."
        )
    return is_new


def promote(engine: Engine, version: str, promoted_by: str, reason: str) -> bool:
    """Promote a registered model.

    It becomes the champion at once if there is none, or if the whole history has its predictions, such as when the
    previous champion is promoted again. Otherwise it becomes the champion when the history has been rescored.

    Returns:
        True if the views show the model now. Promoting the promoted model again writes nothing.

    Raises:
        InvalidRequest: The model is not registered, or the person or the reason is empty.
        WarehouseUnavailable: The server cannot be reached, or another run publishes for too long.
    """
    if not promoted_by.strip() or not reason.strip():
        raise InvalidRequest("A promotion needs a person and a reason. Give both.")
    with transaction(engine) as connection:
        if not connection.scalar(
            sa.text("SELECT count(*) FROM scoring.model_version WHERE version = :version"), {"version": version}
        ):
            raise InvalidRequest(
                f"Model {version} is not registered in this warehouse. `scoring status` shows the models in use."
            )
        # The answers of is_complete and promoted must stay true until the commit.
        runs.publish_lock(connection)
        active, last = champion(connection), promoted(connection)
        if last is None or last["model_version"] != version:
            row = {"version": version, "promoted_by": promoted_by, "reason": reason}
            insert(connection, "scoring.promotion", row)
            if active is None or is_complete(connection, version):
                activate(connection, version, run_id=None, n_missing=0)
                return True
    return active is not None and active["model_version"] == version


def activate(connection: Connection, version: str, *, run_id: UUID | str | None, n_missing: int) -> None:
    """Make the promoted model the champion, and write its comparison with the previous champion.

    If the model is the champion already, only the comparison is updated.

    Args:
        connection: The transaction that completes the history, under the publishing lock.
        version: The promoted model.
        run_id: The rescoring; None if the promotion takes effect at once.
        n_missing: Number of accepted images without a prediction by the model.

    Raises:
        InvalidRequest: Another model has been promoted since.
    """
    last, active = promoted(connection), champion(connection)
    if last is None or last["model_version"] != version:
        raise InvalidRequest(
            f"The promoted model is no longer {version}, but {last['model_version'] if last else 'none'}. No model was "
            "activated; the new predictions are kept. Run `scoring rescore` again."
        )
    if active is None or active["model_version"] != version:
        newest = connection.scalar(sa.text("SELECT max(promotion_id) FROM scoring.promotion"))
        row = {"promotion_id": newest, "run_id": run_id, "n_missing": n_missing}
        insert(connection, "scoring.activation", row)
    former = former_champion(connection, version)
    if former is not None:
        publish_model_comparison(connection, former, version, run_id)
