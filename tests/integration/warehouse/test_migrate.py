"""The migration mechanism: repeatable, all or nothing, and careful with objects of the site."""

import shutil
import threading
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from scoring import settings
from scoring.errors import WarehouseNotMigrated, WarehouseUnavailable
from scoring.warehouse import migrate as migrations
from scoring.warehouse.catalogue import SCHEMAS
from scoring.warehouse.engine import connect_engine
from scoring.warehouse.migrate import MigrationResult, check_current, migrate
from tests.lib.warehouse import administer, execute, rows

SQL = settings.sql_dir()
OBJECTS = (
    "SELECT c.oid, c.relname, c.relacl::text, c.xmin::text FROM pg_class AS c"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ANY(:schemas) ORDER BY c.oid"
)
VIEW_OF_SITE = "CREATE VIEW public.of_this_site AS SELECT batch_date FROM analyst.run_reconciliation"

# Changes a column that a view shows, and the row type that a function returns. PostgreSQL rejects the former while the
# view exists.
REVISION = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE scoring.run ALTER COLUMN code_revision TYPE varchar(64)")
    op.execute("ALTER TABLE registry.consultation ADD COLUMN note text")
"""
RECORDS = """
INSERT INTO scoring.run (run_id, batch_date, trigger, triggered_by, code_revision)
VALUES ('00000000-0000-0000-0000-000000000001', '2026-11-21', 'cli', 'tester', 'abc');
INSERT INTO registry.radiograph
VALUES ('f', 'p', '2020-01-01', 'HAND_LEFT', '2026-11-21', '2026-11-21', '00000000-0000-0000-0000-000000000001');
INSERT INTO registry.consultation
VALUES (
    '1', 'p', '2020-01-01', NULL, 'f', NULL, 12, '2026-11-21', '2026-11-21', '00000000-0000-0000-0000-000000000001',
    'c.csv', 2
);
"""
REVISION_AND_TYPE = "SELECT code_revision, pg_typeof(code_revision)::text FROM scoring.run"


@pytest.fixture
def empty_database(postgres):
    """A database that was never migrated, as a URL of the owner."""
    administer(postgres, "CREATE DATABASE never_migrated OWNER scoring_owner")
    yield make_url(postgres.owner_url).set(database="never_migrated").render_as_string()
    administer(postgres, "DROP DATABASE never_migrated WITH (FORCE)")


@pytest.fixture
def own_sql(tmp_path, monkeypatch) -> Path:
    """A copy of sql/ that a test may change."""
    copy = tmp_path / "sql"
    shutil.copytree(SQL, copy)
    monkeypatch.setattr(migrations, "sql_dir", lambda: copy)
    return copy


def change(path: Path) -> None:
    path.write_text(path.read_text() + "-- changed\n")


def add_revision(own_sql: Path, text: str = REVISION) -> None:
    (own_sql / "migrations" / "versions" / "0002_example.py").write_text(text)


def test_migrate_again_changes_nothing(warehouse):
    engine = warehouse.engine(warehouse.superuser_url)
    before = rows(engine, OBJECTS, schemas=list(SCHEMAS))
    assert migrate(warehouse.owner_url) == MigrationResult((), ())
    assert rows(engine, OBJECTS, schemas=list(SCHEMAS)) == before
    check_current(warehouse.engine())


def test_migrate_by_several_processes_applies_each_revision_once(empty_database):
    results: list[MigrationResult] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(empty_database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.revisions for result in results) == [(), (), ("0001",)]


def test_check_current_of_an_empty_database_says_what_to_run(empty_database):
    engine = connect_engine(empty_database)
    with pytest.raises(WarehouseNotMigrated, match="has no tables yet: run `scoring migrate`"):
        check_current(engine)
    engine.dispose()


# ---- repeatable files


def test_migrate_applies_a_changed_view_and_check_current_detects_it_before(warehouse, own_sql):
    view = own_sql / "views" / "090_quarantine_open.sql"
    kept = [line for line in view.read_text().splitlines() if "quarantine_open.row_key" not in line]
    view.write_text("\n".join(kept).replace("row_key, ", ""))
    with pytest.raises(WarehouseNotMigrated, match="differ from sql/"):
        check_current(warehouse.engine())
    result = migrate(warehouse.owner_url)
    assert result.revisions == ()
    assert "views/090_quarantine_open.sql" in result.repeatables
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'quarantine_open'"
    assert ("row_key",) not in rows(warehouse.engine(warehouse.analyst_url), columns)
    check_current(warehouse.engine())


def test_migrate_applies_repeatable_files_in_the_order_of_their_dependencies(warehouse, own_sql):
    change(own_sql / "functions" / "020_waiting_images.sql")
    applied = migrate(warehouse.owner_url).repeatables
    folders = [name.partition("/")[0] for name in applied]
    assert list(dict.fromkeys(folders)) == ["functions", "views", "comments", "grants"]
    assert sorted(applied) == sorted(
        f"{path.parent.name}/{path.name}" for folder in set(folders) for path in (SQL / folder).glob("*.sql")
    )


def test_migrate_drops_a_view_whose_file_was_removed(warehouse, own_sql):
    (own_sql / "views" / "110_lineage.sql").unlink()
    migrate(warehouse.owner_url)
    assert rows(warehouse.engine(), "SELECT to_regclass('analyst.lineage')") == [(None,)]


def test_migrate_with_a_broken_view_leaves_nothing_behind(warehouse, own_sql):
    (own_sql / "views" / "120_broken.sql").write_text("CREATE VIEW analyst.broken AS SELECT no_such_column;")
    with pytest.raises(psycopg2.errors.UndefinedColumn):
        migrate(warehouse.owner_url)
    assert rows(warehouse.engine(), "SELECT to_regclass('analyst.lineage') IS NOT NULL") == [(True,)]


# ---- revisions


def test_migrate_changes_tables_while_views_exist_and_keeps_their_rows(warehouse, own_sql):
    owner = warehouse.engine(warehouse.owner_url)
    execute(owner, RECORDS)
    shown = "SELECT patient_id, reported_rau FROM analyst.rau_by_visit"
    before = rows(owner, shown)
    add_revision(own_sql)
    with pytest.raises(WarehouseNotMigrated, match="at revision 0001, but this code expects 0002"):
        check_current(warehouse.engine())
    result = migrate(warehouse.owner_url)
    assert result.revisions == ("0002",)
    assert "views/010_champion.sql" in result.repeatables
    assert rows(owner, REVISION_AND_TYPE) == [("abc", "character varying")]
    assert rows(owner, shown) == before == [("p", 12.0)]
    assert rows(owner, "SELECT id_x, note FROM registry.consultation_as_of('2026-11-21')") == [("1", None)]
    assert rows(warehouse.engine(warehouse.analyst_url), shown) == before, "the grants apply to the new views"
    check_current(warehouse.engine())
    assert migrate(warehouse.owner_url) == MigrationResult((), ())


def test_migrate_with_a_failing_revision_leaves_nothing_behind(warehouse, own_sql):
    owner = warehouse.engine(warehouse.owner_url)
    execute(owner, RECORDS)
    add_revision(own_sql, f'{REVISION}    op.execute("SELECT 1 / 0")\n')
    with pytest.raises(Exception, match="division by zero"):
        migrate(warehouse.owner_url)
    assert rows(owner, REVISION_AND_TYPE) == [("abc", "text")]
    assert rows(owner, "SELECT version_num FROM scoring.alembic_version") == [("0001",)]
    assert rows(owner, "SELECT to_regclass('analyst.lineage') IS NOT NULL") == [(True,)]


@pytest.mark.parametrize("with_revision", [True, False])
def test_migrate_reports_and_keeps_an_object_of_the_site_that_depends_on_a_view(warehouse, own_sql, with_revision):
    superuser = warehouse.engine(warehouse.superuser_url)
    execute(superuser, VIEW_OF_SITE)
    if with_revision:
        add_revision(own_sql)
    else:
        change(own_sql / "grants" / "020_analyst.sql")
    with pytest.raises(WarehouseNotMigrated, match=r"of_this_site depends on view analyst\.run_reconciliation"):
        migrate(warehouse.owner_url)
    assert rows(superuser, "SELECT count(*) FROM public.of_this_site") == [(0,)]
    assert rows(superuser, "SELECT to_regclass('analyst.lineage') IS NOT NULL") == [(True,)]
    assert rows(superuser, "SELECT version_num FROM scoring.alembic_version") == [("0001",)]


def test_migrate_reports_an_object_of_the_site_that_depends_on_a_function(warehouse, own_sql):
    superuser = warehouse.engine(warehouse.superuser_url)
    execute(superuser, "CREATE VIEW public.of_this_site AS SELECT * FROM scoring.waiting_images('m')")
    change(own_sql / "functions" / "020_waiting_images.sql")
    with pytest.raises(WarehouseNotMigrated, match=r"of_this_site depends on function scoring\.waiting_images"):
        migrate(warehouse.owner_url)
    assert rows(superuser, "SELECT count(*) FROM public.of_this_site") == [(0,)]


def test_migrate_leaves_a_newer_database_alone(warehouse):
    execute(warehouse.engine(warehouse.owner_url), "UPDATE scoring.alembic_version SET version_num = '9999'")
    with pytest.raises(WarehouseNotMigrated, match="Update the code"):
        migrate(warehouse.owner_url)
    with pytest.raises(WarehouseNotMigrated, match="9999"):
        check_current(warehouse.engine())


# ---- privileges of the role that migrates


def test_migrate_without_privileges_says_what_the_administrator_must_do(warehouse, own_sql):
    change(own_sql / "grants" / "020_analyst.sql")
    with pytest.raises(WarehouseNotMigrated, match=r"lacks a privilege: .*0000_roles\.sql"):
        migrate(warehouse.analyst_url)


def test_migrate_of_an_unreachable_server_is_unavailable(tmp_path):
    with pytest.raises(WarehouseUnavailable, match="database scoring at"):
        migrate(f"postgresql://scoring_owner@/scoring?host={tmp_path}")


PUBLIC_CAN_CREATE = "SELECT has_schema_privilege('scoring_analyst', 'public', 'CREATE')"


def test_migrate_closes_a_schema_public_that_is_open_to_all(warehouse):
    """Databases of PostgreSQL 14, and those upgraded from it, have an open schema public."""
    superuser = warehouse.engine(warehouse.superuser_url)
    execute(superuser, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    assert rows(superuser, PUBLIC_CAN_CREATE) == [(True,)]
    migrate(warehouse.superuser_url)
    assert rows(superuser, PUBLIC_CAN_CREATE) == [(False,)]


def test_migrate_by_a_role_that_may_not_close_schema_public_logs_what_to_run(warehouse, caplog):
    superuser = warehouse.engine(warehouse.superuser_url)
    execute(superuser, "ALTER SCHEMA public OWNER TO CURRENT_USER", "GRANT CREATE ON SCHEMA public TO PUBLIC")
    migrate(warehouse.owner_url)
    assert "Ask the administrator to run REVOKE CREATE ON SCHEMA public FROM PUBLIC" in caplog.text
    assert rows(superuser, PUBLIC_CAN_CREATE) == [(True,)]


def test_migrate_grants_each_missing_privilege_on_the_database_to_the_job(warehouse):
    superuser = warehouse.engine(warehouse.superuser_url)
    execute(superuser, f"REVOKE TEMP ON DATABASE {warehouse.name} FROM PUBLIC, scoring_job")
    held = "SELECT has_database_privilege('scoring_job', current_database(), 'TEMP')"
    assert rows(superuser, held) == [(False,)]
    migrate(warehouse.owner_url)
    assert rows(superuser, held) == [(True,)]
