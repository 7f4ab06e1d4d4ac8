"""Migrations: numbered revisions of the tables, then the repeatable files (functions, views, comments, grants).

Everything happens in one transaction under an advisory lock, so a failed migration leaves nothing behind, and a second
one waits for the first. Views are dropped before the tables change and created again afterwards, so a revision never
conflicts with them. They are dropped without CASCADE: an object of the site that depends on a view is reported, not
dropped.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2.errors  # type: ignore[import-untyped]
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from scoring.errors import WarehouseNotMigrated
from scoring.settings import sql_dir
from scoring.warehouse.engine import connect_engine, driver_connection, location, transaction

log = logging.getLogger(__name__)

OWNER = "scoring_owner"
REPEATABLES = ("functions", "views", "comments", "grants")
"""Folders of files that are applied again, all of them, as soon as one has changed."""


@dataclass(frozen=True)
class MigrationResult:
    """Applied revisions and repeatable files, in order; both are empty if the warehouse was up to date."""

    revisions: tuple[str, ...]
    repeatables: tuple[str, ...]


def migrate(url: str) -> MigrationResult:
    """Bring the database to the newest revision and the current repeatable files.

    Args:
        url: URL of the warehouse for a role that may create roles and schemas, or for `scoring_owner` if an
            administrator has created the roles of `sql/migrations/0000_roles.sql`.

    Raises:
        WarehouseUnavailable: The server cannot be reached.
        WarehouseNotMigrated: A privilege is missing, or an object of the site depends on a view. Nothing was changed.
    """
    engine = connect_engine(url)
    try:
        with transaction(engine) as connection:
            return _migrate(connection)
    except (sa.exc.DBAPIError, psycopg2.Error) as error:
        # SQLAlchemy wraps the errors of its own statements, but not those of scripts.
        cause: Any = getattr(error, "orig", error)
        if isinstance(cause, psycopg2.errors.InsufficientPrivilege):
            raise WarehouseNotMigrated(
                f"The role that migrates {location(engine)} lacks a privilege: {cause.diag.message_primary}. Nothing "
                "was changed. Ask the administrator of the database to run sql/migrations/0000_roles.sql once and to "
                "grant scoring_owner to this role."
            ) from error
        if isinstance(cause, psycopg2.errors.DependentObjectsStillExist):
            raise WarehouseNotMigrated(
                f"Objects of this site depend on an object that must be replaced: {cause.diag.message_detail}. Nothing "
                "was changed. Save their definitions, drop them, run `scoring migrate`, and create them again."
            ) from error
        raise
    finally:
        engine.dispose()


def check_current(engine: Engine) -> None:
    """Check that the warehouse has the revision and the repeatable files of this code.

    Raises:
        WarehouseNotMigrated: It does not; the message says what to run.
        WarehouseUnavailable: The server cannot be reached.
    """
    head = head_revision()
    with transaction(engine) as connection:
        readable, user = connection.execute(
            sa.text("SELECT has_schema_privilege(to_regnamespace('analyst'), 'USAGE'), session_user")
        ).one()
        if readable is None:
            raise WarehouseNotMigrated(f"The warehouse ({location(engine)}) has no tables yet: run `scoring migrate`.")
        if not readable:
            raise WarehouseNotMigrated(
                f"{user} is not allowed to read the warehouse ({location(engine)}). Ask its administrator to run GRANT "
                f"scoring_job TO {user}."
            )
        found, applied = _revision(connection), _applied(connection)
    if found != head:
        raise WarehouseNotMigrated(
            f"The warehouse ({location(engine)}) is at revision {found}, but this code expects {head}. Run `scoring "
            "migrate`. If the database is newer than the code, update the code."
        )
    if applied != _checksums():
        raise WarehouseNotMigrated(
            f"The views or grants of the warehouse ({location(engine)}) differ from sql/. Run `scoring migrate`."
        )


def server_version(engine: Engine) -> str:
    """Return the version of PostgreSQL, such as "18.1"."""
    with transaction(engine) as connection:
        return str(connection.scalar(sa.text("SHOW server_version")))


def head_revision() -> str:
    """Return the newest revision of this code."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def run_script(connection: Connection, path: Path) -> None:
    """Run a file of SQL statements without replacing `%` or `:`, and log its warnings."""
    driver = driver_connection(connection)
    with driver.cursor() as cursor:
        cursor.execute(path.read_text(encoding="utf-8"))
    for notice in driver.notices:
        if notice.startswith("WARNING"):
            log.warning("migration_warning file=%s message=%s", path.name, notice.strip().partition("\n")[0])
    driver.notices.clear()


def _migrate(connection: Connection) -> MigrationResult:
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('scoring:migrate', 0))"))
    run_script(connection, sql_dir() / "migrations" / "0000_roles.sql")
    connection.execute(sa.text(f"SET LOCAL ROLE {OWNER}"))

    before = _revision(connection)
    pending = _pending(before)
    applied, current = _applied(connection), _checksums()
    if not pending and applied == current:
        return MigrationResult((), ())

    for name in sorted((name for name in applied if name.startswith("views/")), reverse=True):
        # views/010_champion.sql creates analyst.champion.
        connection.execute(sa.text(f"DROP VIEW IF EXISTS analyst.{Path(name).stem.partition('_')[2]}"))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    for name in current:
        run_script(connection, sql_dir() / name)
    connection.execute(sa.text("TRUNCATE scoring.repeatable"))
    connection.execute(
        sa.text("INSERT INTO scoring.repeatable (name, checksum) VALUES (:name, :checksum)"),
        [{"name": name, "checksum": checksum} for name, checksum in current.items()],
    )
    log.info("migrated from=%s revisions=%d repeatables=%d", before, len(pending), len(current))
    return MigrationResult(tuple(pending), tuple(current))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(sql_dir() / "migrations").replace("%", "%%"))
    return config


def _pending(before: str | None) -> list[str]:
    known = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    if before is not None and before not in known:
        raise WarehouseNotMigrated(
            f"The warehouse is at revision {before}, which this code does not know. Update the code, not the database."
        )
    return [revision for revision in reversed(known) if before is None or revision > before]


def _revision(connection: Connection) -> str | None:
    if connection.scalar(sa.text("SELECT to_regclass('scoring.alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM scoring.alembic_version"))
    return revision


def _applied(connection: Connection) -> dict[str, str]:
    """Return the checksums of the repeatable files as they were last applied."""
    if connection.scalar(sa.text("SELECT to_regclass('scoring.repeatable')")) is None:
        return {}
    rows = connection.execute(sa.text("SELECT name, checksum FROM scoring.repeatable"))
    return {row.name: row.checksum for row in rows}


def _checksums() -> dict[str, str]:
    """Return the SHA-256 of each repeatable file, in the order of application."""
    return {
        f"{folder}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in REPEATABLES
        for path in sorted((sql_dir() / folder).glob("*.sql"))
    }
