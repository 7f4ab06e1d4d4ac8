"""A warehouse of the first release, with rows in every table, brought to the present."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from scoring import settings
from scoring.warehouse import migrate as migrations
from scoring.warehouse.engine import transaction
from scoring.warehouse.migrate import MigrationResult, check_current, migrate, run_script

FIRST_RELEASE = Path(__file__).parent / "first_release"
LAST_MIGRATION = "0006_analytics"
# The migrations' own records are there to change.
TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname IN ('registry', 'imaging', 'scoring', 'analytics')"
    " AND tablename NOT IN ('alembic_version', 'repeatable') ORDER BY 1"
)


def rows(engine, query, **parameters):
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), parameters)]


def columns_of(engine, table):
    found = rows(
        engine,
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = CAST(:table AS regclass)"
        " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table=table,
    )
    return [name for (name,) in found]


def digest(engine, table, columns):
    """Number of rows, and a hash of the values of these columns in them."""
    ((n, md5),) = rows(
        engine,
        f"SELECT count(*), md5(string_agg(t::text, ';' ORDER BY t::text))"  # noqa: S608 - names of the catalogue
        f" FROM (SELECT {', '.join(columns)} FROM {table}) AS t",
    )
    return n, md5


def answers(warehouse):
    """What each documented query of the first release gives the analyst."""
    found = {}
    with warehouse.engine(warehouse.analyst_url).connect() as connection:
        cursor = connection.connection.driver_connection.cursor()
        for path in sorted((FIRST_RELEASE / "queries").glob("*.sql")):
            cursor.execute(path.read_text())
            found[path.stem] = cursor.fetchall()
    return found


def structure(warehouse):
    """Every schema, table, constraint, index, view, comment and grant, as pg_dump writes them."""
    url = make_url(warehouse.superuser_url)
    dump = subprocess.run(
        [
            warehouse.server.psql.parent / "pg_dump", "--schema-only", "-h", url.query["host"], "-U", url.username,
            url.database,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout  # fmt: skip
    # A key of the dump's own, drawn anew each time.
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", dump)


@pytest.fixture
def first_release(new_warehouse, tmp_path, monkeypatch):
    """A warehouse as the first release made it, with rows in every table."""
    old = tmp_path / "sql"
    shutil.copytree(FIRST_RELEASE, old)
    shutil.copytree(settings.sql_dir() / "migrations", old / "migrations")
    for path in (old / "migrations" / "versions").glob("*.*"):
        if path.stem > LAST_MIGRATION:
            path.unlink()
    with new_warehouse("template1") as warehouse:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "sql_dir", lambda: old)
            assert migrate(warehouse.owner_url).revisions[-1] == LAST_MIGRATION[:4]
        with transaction(warehouse.engine(warehouse.superuser_url)) as connection:
            run_script(connection, FIRST_RELEASE / "rows.sql")
        yield warehouse


def test_an_upgrade_keeps_every_row_and_the_queries_answer_as_before(first_release):
    engine = first_release.engine(first_release.superuser_url)
    columns = {table: columns_of(engine, table) for (table,) in rows(engine, TABLES)}
    before = {table: digest(engine, table, names) for table, names in columns.items()}
    answered = answers(first_release)
    assert len(before) == 16
    assert [table for table, (n, _) in before.items() if n == 0] == []
    assert [name for name, found in answered.items() if not found] == []

    assert migrate(first_release.owner_url).revisions[0] == "0007"

    check_current(first_release.engine())
    assert {table: digest(engine, table, names) for table, names in columns.items()} == before
    assert answers(first_release) == answered


def test_an_upgraded_warehouse_is_built_as_a_new_one_and_migrating_again_changes_nothing(first_release, warehouse):
    migrate(first_release.owner_url)
    upgraded = structure(first_release)
    assert upgraded == structure(warehouse)

    engine = first_release.engine(first_release.superuser_url)
    contents = {table: digest(engine, table, columns_of(engine, table)) for (table,) in rows(engine, TABLES)}
    assert migrate(first_release.owner_url) == MigrationResult((), ())
    assert structure(first_release) == upgraded
    assert {table: digest(engine, table, columns_of(engine, table)) for table in contents} == contents
