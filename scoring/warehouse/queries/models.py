"""Which model is promoted, and which is the champion that the views show."""

from datetime import datetime
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from scoring.warehouse.engine import transaction

_MODEL = (
    "SELECT m.version, m.architecture, m.input_size, m.preprocessing_version, m.weights_sha256,"
    " m.trained_on_synthetic, p.promoted_at, p.promoted_by, p.reason"
    " FROM scoring.promotion AS p INNER JOIN scoring.model_version AS m ON m.version = p.version"
)


_PROMOTED = f"{_MODEL} ORDER BY p.promotion_id DESC LIMIT 1"


_ACTIVE = f"{_MODEL} INNER JOIN scoring.activation AS a USING (promotion_id) ORDER BY a.activation_id DESC LIMIT 1"


class PromotedModel(TypedDict):
    """A model, and who promoted it when and why."""

    version: str
    architecture: str
    input_size: int
    preprocessing_version: str
    weights_sha256: str
    trained_on_synthetic: bool
    promoted_at: datetime
    promoted_by: str
    reason: str


def champion(source: Engine | Connection) -> PromotedModel | None:
    """The model whose predictions the views show and with which nights are scored; None before the first promotion."""
    return _found(source, _ACTIVE)


def promoted(source: Engine | Connection) -> PromotedModel | None:
    """The model of the last promotion: the champion, or the one that will be when the history has been rescored."""
    return _found(source, _PROMOTED)


def _found(source: Engine | Connection, query: str) -> PromotedModel | None:
    if isinstance(source, Engine):
        with transaction(source) as connection:
            return _found(connection, query)
    row = source.execute(sa.text(query)).mappings().one_or_none()
    return None if row is None else PromotedModel(**row)  # type: ignore[typeddict-item]
