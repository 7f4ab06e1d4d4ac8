"""The warehouse of this installation: the one in the settings, or the embedded server."""

from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scoring.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from scoring.warehouse.embedded import EmbeddedServer


def up(settings: Settings) -> "EmbeddedServer":
    """Start the embedded server if it is not running. It also has the metadata database of `make airflow`."""
    return _embedded(settings.var_dir)


@cache
def _embedded(var_dir: Path) -> "EmbeddedServer":
    from scoring.warehouse import embedded

    return embedded.start(var_dir, airflow=True)


def down(settings: Settings) -> bool:
    """Stop the embedded server. Returns False if it was not running."""
    from scoring.warehouse import embedded

    _embedded.cache_clear()
    return embedded.stop(settings.var_dir)


def migrate(settings: Settings) -> str:
    """Migrate the warehouse with the role for migrations. Returns a sentence with the result."""
    from scoring.warehouse.migrate import migrate as migrate_warehouse

    if settings.warehouse_url is None:
        url = up(settings).owner_url
    else:
        url = (settings.migration_url or settings.warehouse_url).get_secret_value()
    result = migrate_warehouse(url)
    if not (result.revisions or result.repeatables):
        return "the warehouse is up to date"
    n = len(result.revisions)
    migrations = "1 migration" if n == 1 else f"{n} migrations"
    return f"applied {migrations} and {len(result.repeatables)} functions, views and grants"


def warehouse(settings: Settings) -> "Engine":
    """Return the warehouse as the role of the jobs. Starts the embedded server if the settings name no other."""
    if settings.warehouse_url is None:
        return _engine(up(settings).job_url)
    return _engine(settings.warehouse_url.get_secret_value())


def transaction(settings: Settings) -> "AbstractContextManager[Connection]":
    """Open a transaction in the warehouse, as `scoring.warehouse.engine.transaction` does."""
    from scoring.warehouse.engine import transaction as open_transaction

    return open_transaction(warehouse(settings))


def psql_line(settings: Settings) -> str:
    """Return a shell command that opens the warehouse as an analyst; it never contains a password."""
    if settings.warehouse_url is None:
        return up(settings).psql_command
    from scoring.warehouse.engine import postgres_url

    url = postgres_url(settings.warehouse_url.get_secret_value())
    host = f"-h {url.host} " if url.host else ""
    port = f"-p {url.port} " if url.port else ""
    # No `-U scoring_analyst`: on the server of a site that role has no login and is granted to people.
    return f"psql {host}{port}{url.database}"


@cache
def _engine(url: str) -> "Engine":
    from scoring.warehouse.engine import connect_engine

    return connect_engine(url)
