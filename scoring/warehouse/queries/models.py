"""Reads which model is promoted, and which one is the champion."""

from datetime import datetime
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection


class PromotedModel(TypedDict):
    """A model with its promotion; columns as in `analyst.champion`."""

    model_version: str
    preprocessing_version: str
    weights_sha256: str
    trained_on_synthetic: bool
    promoted_at: datetime
    promoted_by: str
    reason: str


class Champion(PromotedModel):
    """The champion, with the time at which the views began to show it."""

    activated_at: datetime


_COLUMNS = "preprocessing_version, weights_sha256, trained_on_synthetic, promoted_at, promoted_by, reason"
_CHAMPION = f"SELECT model_version, {_COLUMNS}, activated_at FROM analyst.champion"  # noqa: S608 - constants
_PROMOTED = (
    f"SELECT version AS model_version, {_COLUMNS} FROM scoring.promotion INNER JOIN scoring.model_version"  # noqa: S608 - constants
    " USING (version) ORDER BY promotion_id DESC LIMIT 1"
)


def champion(connection: Connection) -> Champion | None:
    """Return the model that the views show and nightly runs score with; None before the first promotion."""
    row = connection.execute(sa.text(_CHAMPION)).mappings().one_or_none()
    return None if row is None else Champion(**row)  # type: ignore[typeddict-item]


def promoted(connection: Connection) -> PromotedModel | None:
    """Return the model of the last promotion: the champion, or the one that replaces it after the rescoring."""
    row = connection.execute(sa.text(_PROMOTED)).mappings().one_or_none()
    return None if row is None else PromotedModel(**row)  # type: ignore[typeddict-item]
