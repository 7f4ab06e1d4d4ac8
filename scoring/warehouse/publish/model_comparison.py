"""Writes the comparison of a new champion with the former one."""

from uuid import UUID

import pandas as pd
from sqlalchemy.engine import Connection

from scoring.clinical.joints import REGISTRY_JOINTS
from scoring.warehouse.bulk import UpsertCounts, upsert
from scoring.warehouse.statements import statement

_COUNTS = tuple(f"n_new_grade_{grade}" for grade in range(6))
_FIGURES = (
    "n",
    "mean_shift",
    "sd_shift",
    "loa_low",
    "loa_high",
    "slope",
    "intercept",
    "same_grade",
    "within_one_grade",
    "quadratic_weighted_kappa",
    *_COUNTS,
)


def publish_model_comparison(
    connection: Connection, old_model: str, new_model: str, run_id: UUID | str | None
) -> UpsertCounts:
    """Compare two models on everything that both have scored, and write the comparison.

    Args:
        connection: Inside the publishing transaction.
        old_model: The former champion.
        new_model: The new champion.
        run_id: The rescoring; None if a promotion takes effect at once.
    """
    models = {"old_model": old_model, "new_model": new_model}
    joints = [joint.column for joint in REGISTRY_JOINTS]
    kinds = [joint.kind for joint in REGISTRY_JOINTS]
    found = pd.read_sql_query(
        statement("compare_models"), connection, params={**models, "joints": joints, "kinds": kinds}
    )
    rows = found.astype(dict.fromkeys(_COUNTS, "Int64")).assign(
        **models, run_id=None if run_id is None else str(run_id), computed_at=pd.Timestamp.now(tz="UTC")
    )
    return upsert(
        connection,
        "analytics.model_comparison",
        rows,
        key=("old_model", "new_model", "measure", "joint_kind", "old_grade"),
        payload=_FIGURES,
        provenance=("run_id", "computed_at"),
    )
