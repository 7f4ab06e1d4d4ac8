"""Where this installation's parts are: the warehouse of the settings, or the embedded server that stands in for it."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scoring.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from scoring.warehouse.embedded import EmbeddedServer


def up(settings: Settings) -> "EmbeddedServer":
    """Start the embedded server, or find it running. It also holds Airflow's own tables for `make airflow`."""
    return _embedded(settings.var_dir)


@cache
def _embedded(var_dir: Path) -> "EmbeddedServer":
    from scoring.warehouse import embedded

    return embedded.start(var_dir, airflow=True)


def down(settings: Settings) -> bool:
    """Stop the embedded server. Returns whether one was running."""
    from scoring.warehouse import embedded

    _embedded.cache_clear()
    return embedded.stop(settings.var_dir)


def migrate(settings: Settings) -> str:
    """Migrate the warehouse as the role that may. Returns a sentence that says what was done."""
    from scoring.warehouse.migrate import migrate as migrate_warehouse

    if settings.warehouse_url is None:
        url = up(settings).owner_url
    else:
        url = (settings.migration_url or settings.warehouse_url).get_secret_value()
    result = migrate_warehouse(url)
    if not (result.revisions or result.repeatables):
        return "the warehouse is up to date"
    return f"applied {len(result.revisions)} migrations and {len(result.repeatables)} views and grants"


def warehouse(settings: Settings) -> "Engine":
    """The warehouse as the job's role. Starts the embedded server if that is the one in use."""
    if settings.warehouse_url is None:
        return _engine(up(settings).job_url)
    return _engine(settings.warehouse_url.get_secret_value())


def psql_line(settings: Settings) -> str:
    """A line for the shell that opens the warehouse as an analyst; never with a password."""
    if settings.warehouse_url is None:
        return up(settings).psql_command
    from scoring.warehouse.engine import postgres_url

    url = postgres_url(settings.warehouse_url.get_secret_value())
    host = f"-h {url.host} " if url.host else ""
    port = f"-p {url.port} " if url.port else ""
    # Not `-U scoring_analyst`: on a site's server that is a group without a login, granted to people.
    return f"psql {host}{port}{url.database}"


@cache
def _engine(url: str) -> "Engine":
    from scoring.warehouse.engine import connect_engine

    return connect_engine(url)
