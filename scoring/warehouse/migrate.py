"""Bring the warehouse to the state that this code expects: numbered migrations, then views and grants.

All of it happens in one transaction under an advisory lock: a migration that fails leaves nothing behind, and a second
one waits for the first. Views are dropped before tables change and created afterwards, so a migration never trips over
a view of ours. They are dropped without CASCADE: a site's own view on top of one of ours is reported, not destroyed.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg2.errors  # type: ignore[import-untyped]
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from scoring.errors import WarehouseNotMigrated
from scoring.settings import sql_dir
from scoring.warehouse.engine import connect_engine, driver_connection, place, transaction

log = logging.getLogger(__name__)

OWNER = "scoring_owner"


@dataclass(frozen=True)
class MigrationResult:
    """What a migration did: revisions and repeatable files applied, in their order. Both empty: nothing to do."""

    revisions: tuple[str, ...]
    repeatables: tuple[str, ...]


def migrate(url: str) -> MigrationResult:
    """Bring the database to the newest migration, views and grants.

    Args:
        url: The warehouse as a role that may create roles and schemas, or as `scoring_owner` where an administrator
            has created the roles of `sql/migrations/0000_roles.sql`.

    Raises:
        WarehouseUnavailable: The server cannot be reached.
        WarehouseNotMigrated: Rights are missing, or a site's own object depends on a view; nothing was changed.
    """
    engine = connect_engine(url)
    try:
        with transaction(engine) as connection:
            return _migrate(connection)
    except sa.exc.ProgrammingError as refused:
        if not isinstance(refused.orig, psycopg2.errors.InsufficientPrivilege):
            raise
        raise WarehouseNotMigrated(_lacking(engine, refused.orig)) from refused
    except psycopg2.errors.InsufficientPrivilege as refused:
        raise WarehouseNotMigrated(_lacking(engine, refused)) from refused
    finally:
        engine.dispose()


def check_current(engine: Engine) -> None:
    """Check that the warehouse is at the state that this code expects.

    Raises:
        WarehouseNotMigrated: It is empty, older or newer, or its views are; says what to run.
        WarehouseUnavailable: The server cannot be reached.
    """
    head = head_revision()
    with transaction(engine) as connection:
        readable = connection.scalar(
            sa.text(
                "SELECT coalesce(has_schema_privilege(n.oid, 'USAGE'), false) FROM pg_catalog.pg_namespace AS n"
                " WHERE n.nspname = 'analyst'"
            )
        )
        if readable is False:
            user = connection.scalar(sa.text("SELECT session_user"))
            raise WarehouseNotMigrated(
                f"{user} may not read the warehouse ({place(engine)}). As an administrator: GRANT scoring_job TO {user}"
            )
        if not readable:
            raise WarehouseNotMigrated(f"The warehouse ({place(engine)}) has no tables yet: run `scoring migrate`.")
        found = connection.scalar(sa.text("SELECT version_num FROM scoring.alembic_version"))
        applied = _applied(connection)
    if found != head:
        raise WarehouseNotMigrated(
            f"The warehouse ({place(engine)}) is at migration {found}, this code expects {head}: "
            "run `scoring migrate`, or update the code if the database is the newer one."
        )
    if applied != _checksums():
        raise WarehouseNotMigrated(
            f"The views or grants of the warehouse ({place(engine)}) differ from sql/: run `scoring migrate`."
        )


def server_version(engine: Engine) -> str:
    """Return the version of PostgreSQL, such as "18.1"."""
    with transaction(engine) as connection:
        return str(connection.scalar(sa.text("SHOW server_version")))


def head_revision() -> str:
    """Return the newest migration of this code."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def run_script(connection: Connection, path: Path) -> None:
    """Run a file of SQL statements as it stands; `%` and `:` have no meaning in it but PostgreSQL's.

    What it warns of is logged.
    """
    with driver_connection(connection).cursor() as cursor:
        cursor.execute(path.read_text(encoding="utf-8"))
    # At once: with its next statement SQLAlchemy forgets them.
    _log_notices(connection)


def _migrate(connection: Connection) -> MigrationResult:
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('scoring:migrate', 0))"))
    run_script(connection, sql_dir() / "migrations" / "0000_roles.sql")
    connection.execute(sa.text(f"SET LOCAL ROLE {OWNER}"))

    before = _revision(connection)
    pending = _pending(before)
    applied, wanted = _applied(connection), _checksums()
    if not pending and applied == wanted:
        return MigrationResult((), ())

    _drop_views(connection, applied)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    for name in wanted:
        run_script(connection, sql_dir() / name)
    connection.execute(sa.text("TRUNCATE scoring.repeatable"))
    connection.execute(
        sa.text("INSERT INTO scoring.repeatable (name, checksum) VALUES (:name, :checksum)"),
        [{"name": name, "checksum": checksum} for name, checksum in wanted.items()],
    )
    log.info("migrated from=%s revisions=%d repeatables=%d", before, len(pending), len(wanted))
    return MigrationResult(tuple(pending), tuple(wanted))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(sql_dir() / "migrations").replace("%", "%%"))
    return config


def _pending(before: str | None) -> list[str]:
    scripts = ScriptDirectory.from_config(_config())
    known = [script.revision for script in scripts.walk_revisions()]
    if before is not None and before not in known:
        raise WarehouseNotMigrated(
            f"The warehouse is at migration {before}, which this code does not know: update the code, not the database."
        )
    return [revision for revision in reversed(known) if before is None or revision > before]


def _revision(connection: Connection) -> str | None:
    if connection.scalar(sa.text("SELECT to_regclass('scoring.alembic_version')")) is None:
        return None
    return cast("str | None", connection.scalar(sa.text("SELECT version_num FROM scoring.alembic_version")))


def _checksums() -> dict[str, str]:
    """SHA-256 of each repeatable file, in the order in which they are applied: views, then grants, by number."""
    return {
        f"{folder}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("views", "grants")
        for path in sorted((sql_dir() / folder).glob("*.sql"))
    }


def _applied(connection: Connection) -> dict[str, str]:
    if connection.scalar(sa.text("SELECT to_regclass('scoring.repeatable')")) is None:
        return {}
    rows = connection.execute(sa.text("SELECT name, checksum FROM scoring.repeatable"))
    return {row.name: row.checksum for row in rows}


def _view_name(file_name: str) -> str:
    """`views/010_champion.sql` makes analyst.champion."""
    return Path(file_name).stem.partition("_")[2]


def _drop_views(connection: Connection, applied: dict[str, str]) -> None:
    for name in sorted((name for name in applied if name.startswith("views/")), reverse=True):
        view = _view_name(name)
        try:
            connection.execute(sa.text(f"DROP VIEW IF EXISTS analyst.{view}"))
        except sa.exc.InternalError as refused:
            if not isinstance(refused.orig, psycopg2.errors.DependentObjectsStillExist):
                raise
            raise WarehouseNotMigrated(
                f"analyst.{view} cannot be replaced because objects of this site depend on it: "
                f"{refused.orig.diag.message_detail}. Save their definitions, drop them, run `scoring migrate`, and "
                "create them again. Nothing was changed."
            ) from refused


def _log_notices(connection: Connection) -> None:
    notices: list[str] = driver_connection(connection).notices
    for notice in notices:
        if notice.startswith("WARNING"):
            log.warning("migration notice=%s", notice.strip().partition("\n")[0])
    notices.clear()


def _lacking(engine: Engine, refused: BaseException) -> str:
    said = str(refused).strip().partition("\n")[0]
    return (
        f"The role that migrates {place(engine)} lacks a right: {said}. Ask the database's administrator to run "
        "sql/migrations/0000_roles.sql once and to grant scoring_owner to this role. Nothing was changed."
    )
