"""Models that the warehouse knows, which of them is promoted, and which is the champion that the views show.

A promotion states the intent, an activation that it took effect. Between the two the history is rescored, and the
former champion goes on: nights are scored with it, and the views show it.
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
from scoring.warehouse.publish.model_comparison import publish_model_comparison
from scoring.warehouse.queries.models import champion, promoted
from scoring.warehouse.queries.rescoring import former_champion, is_complete

WEIGHTS = "weights.npz"


def register_model(engine: Engine, manifest: Mapping[str, Any]) -> bool:
    """Make a model known. A version stands for one set of weights for ever.

    Args:
        engine: The warehouse.
        manifest: The model's manifest as the model store keeps it; version, architecture, input side, preprocessing
            version, the weights' SHA-256 and the mark of synthetic training become columns, all of it is kept as JSON.

    Returns:
        False if the model was known already.

    Raises:
        ModelRejected: The version is known with other weights, or the manifest lacks something.
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
        raise ModelRejected(
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
        raise ModelRejected(f"The model's manifest lacks {missing}: export the model again.") from missing


def promote(engine: Engine, version: str, promoted_by: str, reason: str) -> bool:
    """Promote a registered model.

    It is the champion at once if it is the first one, or if nothing of the history waits for it, as when the former
    champion is taken back before anything new has come. Otherwise it is when the history has been rescored.

    Returns:
        Whether the views show the model from now on. Promoting the promoted model again writes nothing.

    Raises:
        InvalidRequest: The model is not registered, or nobody or no reason is named.
        WarehouseUnavailable: The server cannot be reached, or another run publishes for too long.
    """
    if not promoted_by.strip() or not reason.strip():
        raise InvalidRequest("A promotion needs a person and a reason.")
    with transaction(engine) as connection:
        if not connection.scalar(
            sa.text("SELECT count(*) FROM scoring.model_version WHERE version = :version"), {"version": version}
        ):
            raise InvalidRequest(f"Model {version} is not registered in this warehouse: see `scoring status`.")
        # Whether the history is complete, and who is promoted, must stay true until this is written.
        runs.publish_lock(connection)
        active, last = champion(connection), promoted(connection)
        if last is None or last["version"] != version:
            connection.execute(
                sa.text("INSERT INTO scoring.promotion (version, promoted_by, reason) VALUES (:version, :by, :reason)"),
                {"version": version, "by": promoted_by, "reason": reason},
            )
            if active is None or is_complete(connection, version):
                activate(connection, version, run_id=None, n_missing=0)
                return True
    return active is not None and active["version"] == version


def activate(connection: Connection, version: str, *, run_id: UUID | str | None, n_missing: int) -> None:
    """Make the promoted model the champion, and write the bridge from the former one to it.

    A model that is the champion already stays it, and its bridge is brought up to date.

    Args:
        connection: The transaction that completes the history, under the publishing lock.
        version: The promoted model.
        run_id: The rescoring; None if the promotion itself takes effect.
        n_missing: Accepted images that go without a prediction of it.

    Raises:
        InvalidRequest: Another model has been promoted since.
    """
    last, active = promoted(connection), champion(connection)
    if last is None or last["version"] != version:
        raise InvalidRequest(
            f"{version} is not the promoted model any more, {last['version'] if last else 'none'} is: nothing was "
            "activated, and what was scored stays. Run `scoring rescore` again."
        )
    if active is None or active["version"] != version:
        connection.execute(
            sa.text(
                "INSERT INTO scoring.activation (promotion_id, run_id, n_missing)"
                " SELECT max(promotion_id), :run_id, :n_missing FROM scoring.promotion"
            ),
            {"run_id": None if run_id is None else str(run_id), "n_missing": n_missing},
        )
    former = former_champion(connection, version)
    if former is not None:
        publish_model_comparison(connection, former, version, run_id)
