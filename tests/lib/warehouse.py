"""Throwaway warehouses: one server per test process, and databases copied from a migrated template."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy.engine import Engine

    from scoring.warehouse.embedded import EmbeddedServer

TEMPLATE = "scoring"
SYNTHETIC_SQL = Path(__file__).parents[1] / "benchmarks" / "synthetic_warehouse.sql"

# Durability and tidiness are of no use in a test.
FAST = (
    "fsync = off",
    "full_page_writes = off",
    "synchronous_commit = off",
    "autovacuum = off",
    "max_wal_size = '4GB'",
)

_numbers = itertools.count(1)


@dataclass
class Warehouse:
    """The database of one test, and the URLs of its roles."""

    name: str
    server: "EmbeddedServer"
    _closing: ExitStack = field(default_factory=ExitStack)

    def _url(self, url: str) -> str:
        from sqlalchemy.engine import make_url

        return make_url(url).set(database=self.name).render_as_string()

    @property
    def superuser_url(self) -> str:
        return self._url(self.server.superuser_url)

    @property
    def owner_url(self) -> str:
        return self._url(self.server.owner_url)

    @property
    def job_url(self) -> str:
        return self._url(self.server.job_url)

    @property
    def analyst_url(self) -> str:
        return self._url(self.server.analyst_url)

    def engine(self, url: str | None = None) -> "Engine":
        """Return an engine, by default of the job's role; it is disposed of when the test ends."""
        from scoring.warehouse.engine import connect_engine

        engine = connect_engine(url or self.job_url)
        self._closing.callback(engine.dispose)
        return engine

    def close(self) -> None:
        self._closing.close()


@contextmanager
def running_server() -> Iterator["EmbeddedServer"]:
    """Start a server with a migrated database `scoring`, which serves as the template of all others."""
    from scoring.warehouse import embedded
    from scoring.warehouse.migrate import migrate

    # Not below pytest's own temporary folder, which the user of the server may not enter.
    folder = Path(tempfile.mkdtemp(prefix="scoring-test-"))
    folder.chmod(0o711)
    try:
        server = embedded.start(folder)
        administer(server, *(f"ALTER SYSTEM SET {setting}" for setting in FAST), "SELECT pg_reload_conf()")
        migrate(server.owner_url)
        yield server
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder)


@contextmanager
def new_warehouse(server: "EmbeddedServer", template: str = TEMPLATE) -> Iterator[Warehouse]:
    """Copy a database; it is dropped when the block ends.

    Connections to the template are terminated, because PostgreSQL does not copy a database in use.
    """
    from scoring.settings import sql_dir
    from scoring.warehouse.engine import transaction
    from scoring.warehouse.migrate import run_script

    name = f"test_{next(_numbers)}"
    administer(
        server,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'",  # noqa: S608
        f"CREATE DATABASE {name} TEMPLATE {template} OWNER scoring_owner STRATEGY FILE_COPY",
    )
    made = Warehouse(name, server)
    # A copy has the tables of its template, but not the settings of roles, which belong to the database's name.
    with transaction(made.engine(made.superuser_url)) as connection:
        run_script(connection, sql_dir() / "migrations" / "0000_roles.sql")
    yield made
    made.close()
    administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def fill_with_predictions(warehouse: Warehouse, n: int) -> None:
    """Fill an empty warehouse with about `n` joint predictions and all records that belong to them.

    `tests/benchmarks/synthetic_warehouse.sql` describes the content.
    """
    import sqlalchemy as sa

    from scoring.warehouse.engine import transaction
    from scoring.warehouse.migrate import run_script
    from scoring.warehouse.publish.analytics import publish_model_comparison

    superuser = warehouse.engine(warehouse.superuser_url)
    with transaction(superuser) as connection:
        connection.execute(sa.text("SELECT set_config('scoring.n_predictions', :n, true)"), {"n": str(n)})
        run_script(connection, SYNTHETIC_SQL)
    # As in an old warehouse: row versions are settled, and the planner has statistics.
    with superuser.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    with transaction(warehouse.engine()) as connection:
        publish_model_comparison(connection, "former-1", "champion-1", None)


def rows(engine: "Engine", query: str, **params: object) -> list[tuple]:
    """Run a statement in its own transaction and return its rows."""
    import sqlalchemy as sa

    from scoring.warehouse.engine import transaction

    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), params)]


def records(engine: "Engine", query: str, **params: object) -> list[dict[str, Any]]:
    """Run a query in its own transaction and return its rows as dictionaries; null is None."""
    import sqlalchemy as sa

    from scoring.warehouse.engine import transaction

    with transaction(engine) as connection:
        return [dict(row) for row in connection.execute(sa.text(query), params).mappings()]


def frame(engine: "Engine", query: str, **params: object) -> "pd.DataFrame":
    """Run a query in its own transaction and return its rows as a frame."""
    import pandas as pd
    import sqlalchemy as sa

    from scoring.warehouse.engine import transaction

    with transaction(engine) as connection:
        return pd.read_sql_query(sa.text(query), connection, params=params)


def execute(engine: "Engine", *statements: str) -> None:
    """Run statements without parameters in one transaction."""
    from scoring.warehouse.engine import transaction

    with transaction(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def administer(server: "EmbeddedServer", *statements: str) -> None:
    """Run statements as the superuser, each in its own transaction."""
    from sqlalchemy.engine import make_url

    from scoring.warehouse.engine import connect_engine

    url = make_url(server.superuser_url).set(database="postgres").render_as_string()
    engine = connect_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
