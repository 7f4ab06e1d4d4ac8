"""Models of this installation: load, find the champion, promote."""

from typing import TYPE_CHECKING

from scoring.settings import Settings
from scoring.warehouse import connect

if TYPE_CHECKING:
    from scoring.model_store.stored_model import StoredModel

FIRST_PROMOTION = "automatic: the shipped model, because there was no champion"


def load(settings: Settings, version: str) -> "StoredModel":
    """Load a model of the store, or the shipped one, and check every file against its manifest.

    Raises:
        ModelRejected: There is no such version, or a file differs from its manifest.
    """
    from scoring.model_store.store import find_model

    return find_model(version, settings.model_store_url)


def champion(settings: Settings) -> "StoredModel":
    """Load and check the champion: the model that the views show and nightly runs score with.

    A promoted model becomes the champion once the history is rescored. If the warehouse has no champion, the shipped
    model is promoted.

    Raises:
        ModelRejected: A file is missing or was changed, or the warehouse knows other weights under the same version.
    """
    from scoring.model_store.store import SHIPPED_VERSION
    from scoring.warehouse.publish import promotions
    from scoring.warehouse.queries import models as known_models

    engine = connect.warehouse(settings)
    with connect.transaction(settings) as connection:
        active = known_models.champion(connection)
    model = load(settings, active["model_version"] if active else SHIPPED_VERSION)
    # Registering again compares the weights with those that the warehouse knows under this version.
    promotions.register_model(engine, model.manifest)
    if active is None:
        promotions.promote(engine, model.version, promoted_by="nightly_scoring", reason=FIRST_PROMOTION)
    return model


def promote(settings: Settings, *, version: str, promoted_by: str, reason: str) -> str | None:
    """Promote a model of the store.

    Returns:
        The champion that the views show until the history is rescored; None if they show the promoted model now.
    """
    from scoring.warehouse import migrate
    from scoring.warehouse.publish import promotions
    from scoring.warehouse.queries import models as known_models

    engine = connect.warehouse(settings)
    migrate.check_current(engine)
    promotions.register_model(engine, load(settings, version).manifest)
    if promotions.promote(engine, version, promoted_by=promoted_by, reason=reason):
        return None
    with connect.transaction(settings) as connection:
        active = known_models.champion(connection)
    return active["model_version"] if active else None
