"""Migrations, views and grants as PostgreSQL sees them afterwards."""

import shutil
import threading
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from scoring import settings
from scoring.errors import WarehouseNotMigrated, WarehouseUnavailable
from scoring.warehouse import catalogue
from scoring.warehouse import migrate as migrations
from scoring.warehouse.engine import connect_engine, transaction
from scoring.warehouse.migrate import MigrationResult, check_current, migrate

SCHEMAS = ("registry", "imaging", "scoring", "analytics", "analyst")
SQL = settings.sql_dir()


def rows(engine, query, **parameters):
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), parameters)]


@pytest.fixture
def empty_database(postgres):
    """A database that was never migrated, as a URL of the owner."""
    administrator = sa.create_engine(
        make_url(postgres.superuser_url).set(database="postgres"), isolation_level="AUTOCOMMIT"
    )
    with administrator.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE never_migrated OWNER scoring_owner")
        yield make_url(postgres.owner_url).set(database="never_migrated").render_as_string()
        connection.exec_driver_sql("DROP DATABASE never_migrated WITH (FORCE)")
    administrator.dispose()


@pytest.fixture
def own_sql(tmp_path, monkeypatch) -> Path:
    """A copy of sql/ that a test may change."""
    copy = tmp_path / "sql"
    shutil.copytree(SQL, copy)
    monkeypatch.setattr(migrations, "sql_dir", lambda: copy)
    return copy


def change(path: Path) -> None:
    path.write_text(path.read_text() + "-- changed\n")


def test_migrating_again_changes_nothing(warehouse):
    engine = warehouse.engine(warehouse.superuser_url)
    catalogue = (
        "SELECT c.oid, c.relname, c.relacl::text, c.xmin::text FROM pg_class AS c"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ANY(:schemas) ORDER BY c.oid"
    )
    before = rows(engine, catalogue, schemas=list(SCHEMAS))
    assert migrate(warehouse.owner_url) == MigrationResult((), ())
    assert rows(engine, catalogue, schemas=list(SCHEMAS)) == before
    check_current(warehouse.engine())


def test_two_migrations_at_once_leave_one_result(empty_database):
    results: list[MigrationResult] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(empty_database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(result.revisions) for result in results) == [
        0,
        0,
        len(list((SQL / "migrations" / "versions").glob("*.sql"))),
    ]


def test_an_empty_database_says_what_to_run(empty_database):
    engine = connect_engine(empty_database)
    with pytest.raises(WarehouseNotMigrated, match="scoring migrate"):
        check_current(engine)
    engine.dispose()


def test_a_changed_view_is_applied_and_noticed_before(warehouse, own_sql):
    view = own_sql / "views" / "090_quarantine_open.sql"
    view.write_text(
        view.read_text()
        .replace("    quarantine.row_key,\n", "")
        .replace("COMMENT ON COLUMN analyst.quarantine_open.row_key IS 'Names the landed row.';\n", "")
    )
    with pytest.raises(WarehouseNotMigrated, match="differ from sql/"):
        check_current(warehouse.engine())
    result = migrate(warehouse.owner_url)
    assert result.revisions == ()
    assert "views/090_quarantine_open.sql" in result.repeatables
    analyst = warehouse.engine(warehouse.analyst_url)
    with transaction(analyst) as connection:
        columns = list(connection.execute(sa.text("SELECT * FROM analyst.quarantine_open")).keys())
    assert "row_key" not in columns
    check_current(warehouse.engine())


def test_a_view_that_is_gone_from_the_files_is_dropped(warehouse, own_sql):
    (own_sql / "views" / "110_lineage.sql").unlink()
    migrate(warehouse.owner_url)
    assert rows(warehouse.engine(), "SELECT to_regclass('analyst.lineage')") == [(None,)]


def test_an_object_of_the_site_on_top_of_a_view_is_reported_and_kept(warehouse, own_sql):
    owner = warehouse.engine(warehouse.superuser_url)
    with transaction(owner) as connection:
        connection.execute(
            sa.text("CREATE VIEW public.of_this_site AS SELECT batch_date FROM analyst.run_reconciliation")
        )
    change(own_sql / "grants" / "020_analyst.sql")
    with pytest.raises(WarehouseNotMigrated, match=r"(?s)analyst\.night cannot be replaced.*of_this_site"):
        migrate(warehouse.owner_url)
    assert rows(owner, "SELECT count(*) FROM public.of_this_site") == [(0,)]
    assert rows(owner, "SELECT to_regclass('analyst.lineage') IS NOT NULL") == [(True,)]


def test_a_migration_that_fails_leaves_nothing_behind(warehouse, own_sql):
    (own_sql / "views" / "120_broken.sql").write_text("CREATE VIEW analyst.broken AS SELECT no_such_column;")
    with pytest.raises(psycopg2.errors.UndefinedColumn):
        migrate(warehouse.owner_url)
    assert rows(warehouse.engine(), "SELECT to_regclass('analyst.lineage') IS NOT NULL") == [(True,)]


def test_a_newer_database_is_left_alone(warehouse):
    with transaction(warehouse.engine(warehouse.owner_url)) as connection:
        connection.execute(sa.text("UPDATE scoring.alembic_version SET version_num = '9999'"))
    with pytest.raises(WarehouseNotMigrated, match="update the code"):
        migrate(warehouse.owner_url)
    with pytest.raises(WarehouseNotMigrated, match="9999"):
        check_current(warehouse.engine())


def test_a_warehouse_of_before_activations_keeps_its_champion(empty_database, own_sql, monkeypatch):
    """At 0006 a promotion took effect at once: the last one goes on being the champion, and no row is lost."""
    from scoring.warehouse.publish import promotions

    for later in (own_sql / "migrations" / "versions").glob("*.*"):
        if later.stem > "0006_analytics":
            later.unlink()
    # Of views and grants, which are made anew in any case, one that knows nothing of activations.
    for later in {*own_sql.glob("views/*.sql"), *own_sql.glob("grants/*.sql")}:
        if later.name != "090_quarantine_open.sql":
            later.unlink()
    migrate(empty_database)
    engine = connect_engine(empty_database)
    for version in ("phantom-3", "mine-1"):
        manifest = {
            "version": version,
            "architecture": "cdf",
            "input_side": 128,
            "preprocessing_version": "grey128-v1",
            "files": {"weights.npz": {"sha256": "a" * 64}},
            "trained_on_synthetic": True,
        }
        promotions.register_model(engine, manifest)
        with transaction(engine) as connection:
            connection.execute(
                sa.text("INSERT INTO scoring.promotion (version, promoted_by, reason) VALUES (:version, 'x', 'y')"),
                {"version": version},
            )
    before = rows(engine, "SELECT * FROM scoring.promotion ORDER BY promotion_id")

    monkeypatch.undo()
    assert migrate(empty_database).revisions[0] == "0007"

    assert promotions.champion(engine)["version"] == "mine-1"
    assert promotions.champion(engine) == promotions.promoted(engine)
    assert rows(engine, "SELECT * FROM scoring.promotion ORDER BY promotion_id") == before
    assert rows(engine, "SELECT promotion_id, activated_at, n_missing FROM scoring.activation ORDER BY 1") == [
        (promotion_id, promoted_at, 0) for promotion_id, _, promoted_at, _, _ in before
    ]
    assert rows(engine, "SELECT model_version, activated_at = promoted_at FROM analyst.champion") == [("mine-1", True)]
    engine.dispose()


FIRST_RELEASE = """
INSERT INTO scoring.model_version
VALUES ('phantom-3', 'cdf', 128, 'grey128-v1', repeat('a', 64), '{}', TRUE);
INSERT INTO scoring.promotion (version, promoted_by, reason) VALUES ('phantom-3', 'a steward', 'first');
INSERT INTO scoring.activation (promotion_id, n_missing) SELECT promotion_id, 0 FROM scoring.promotion;
INSERT INTO scoring.run (run_id, batch_date, trigger, triggered_by, code_revision)
VALUES ('00000000-0000-0000-0000-000000000001', '2026-11-21', 'cli', 'tester', 'abc');
INSERT INTO registry.radiograph
SELECT 'radiograph-' || patient, 'patient-' || patient, '2020-01-01', 'HAND_LEFT', '2026-11-21', '2026-11-21',
    '00000000-0000-0000-0000-000000000001'
FROM unnest(ARRAY['a', 'b']) AS patient;
INSERT INTO registry.consultation
VALUES
    ('1', 'patient-a', '2020-01-01', '2020-02-01', 'radiograph-a', 'HAND_LEFT', 12, '2026-11-21', '2026-11-21',
    '00000000-0000-0000-0000-000000000001', 'c', 2),
    ('2', 'patient-b', '2020-01-01', NULL, NULL, NULL, NULL, '2026-11-21', '2026-11-21',
    '00000000-0000-0000-0000-000000000001', 'c', 3);
INSERT INTO registry.joint_reading (
    id_x, joint, sop_iuid, patient_id, reading_percent, batch_date, first_batch_date, run_id, source_file, row_number
)
VALUES (
    '1', 'hand_left_1', 'radiograph-a', 'patient-a', 30, '2026-11-21', '2026-11-21',
    '00000000-0000-0000-0000-000000000001', 'c', 2
);
INSERT INTO registry.disease_activity (
    patient_id, visit_date, das28_esr_reported, batch_date, first_batch_date, run_id, source_file, row_number
)
VALUES ('patient-a', '2020-01-01', 3.4, '2026-11-21', '2026-11-21', '00000000-0000-0000-0000-000000000001', 'd', 2);
INSERT INTO imaging.joint_image
VALUES (
    'radiograph-a', 'hand_left_1', repeat('1', 64), 'f', 'u', 1, 9, 9, 'Gray', 1, 1, '2026-11-21',
    '00000000-0000-0000-0000-000000000001'
);
INSERT INTO scoring.joint_prediction
VALUES (
    repeat('1', 64), 'phantom-3', 'grey128-v1', 'radiograph-a', 'hand_left_1', 30, 30, 20, 40, 2, '{0,0.1,0.8,0.1,0,0}', 'e',
    'abc', '00000000-0000-0000-0000-000000000001', '2026-11-21'
);
INSERT INTO scoring.rau_prediction (
    scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version, rau_expected, rau_median, rau_q05,
    rau_q95, rau_from_grades, n_scored, batch_date, first_batch_date, run_id
)
SELECT scope, 'patient-a', '2020-01-01', radiograph, 'phantom-3', 'grey128-v1', 76, 76, 38, 114, 76, 1, '2026-11-21',
    '2026-11-21', '00000000-0000-0000-0000-000000000001'
FROM (VALUES ('radiograph', 'radiograph-a'), ('visit', '')) AS made (scope, radiograph);
"""
SOMEBODY_ELSES_RADIOGRAPH = """
INSERT INTO registry.consultation
VALUES (
    '3', 'patient-b', '2020-01-01', NULL, 'radiograph-a', NULL, NULL, '2026-11-21', '2026-11-21',
    '00000000-0000-0000-0000-000000000001', 'c', 4
)
"""


FIRST_VIEWS = Path(__file__).parent / "first_release" / "views"


@pytest.fixture
def first_release(empty_database, own_sql, monkeypatch):
    """A warehouse at migration 0008 with data, whose next migration is that of this code."""
    versions, views = own_sql / "migrations" / "versions", own_sql / "views"
    later = [path for path in versions.glob("*.*") if path.stem > "0009"]
    later += [path for path in views.glob("*.sql") if path.name > "145"]
    for path in later:
        path.unlink()
    # Those of today ask for what a later migration brings.
    for name in ("050_rau_by_radiograph.sql", "060_rau_by_visit.sql"):
        (views / name).write_text((FIRST_VIEWS / name).read_text())
    job = own_sql / "grants" / "010_job.sql"
    granted = job.read_text().replace("GRANT INSERT ON registry.correction TO scoring_job;", "")
    job.write_text(granted.replace("analytics.association, ", "").replace(", analytics.rau_forecast", ""))
    migrate(empty_database)
    engine = connect_engine(empty_database)
    assert rows(engine, "SELECT version_num FROM scoring.alembic_version") == [("0008",)]
    with transaction(engine) as connection:
        connection.exec_driver_sql(FIRST_RELEASE)
    monkeypatch.undo()
    yield engine
    engine.dispose()


def contents(engine, columns=None):
    """Every row of every table of registry data and predictions, and what the first views say of them."""
    later = {"registry.correction", "analytics.association", "analytics.rau_forecast"}
    tables = [table for table in TABLES if table not in later]
    tables += [f"analyst.{path.stem.partition('_')[2]}" for path in (SQL / "views").glob("*.sql") if path.name < "145"]
    found = {}
    for table in tables:
        with transaction(engine) as connection:
            selected = ", ".join(columns[table]) if columns else "*"
            result = connection.execute(sa.text(f"SELECT {selected} FROM {table}"))  # noqa: S608 - our own names
            found[table] = (list(result.keys()), sorted(map(str, result)))
    return found


def test_a_warehouse_of_the_first_release_keeps_every_row_and_answer(first_release, empty_database):
    before = contents(first_release)
    assert len(before["analyst.rau_by_visit"][1]) == 2
    assert migrate(empty_database).revisions[:2] == ("0009", "0010")
    assert contents(first_release, {table: columns for table, (columns, _) in before.items()}) == before
    assert migrate(empty_database) == MigrationResult((), ())
    assert rows(first_release, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    with pytest.raises(sa.exc.IntegrityError, match="consultation_of_radiographs_patient"):
        rows(first_release, SOMEBODY_ELSES_RADIOGRAPH)


def test_a_radiograph_that_was_moved_before_the_upgrade_is_not_shown_after_it(first_release, empty_database):
    with transaction(first_release) as connection:
        connection.exec_driver_sql(
            "UPDATE registry.radiograph SET visit_date = '2020-01-02' WHERE sop_iuid = 'radiograph-a'"
        )
    shown = "SELECT patient_id, visit_date, rau_expected, n_scored FROM analyst.rau_by_visit ORDER BY 1, 2"
    before = rows(first_release, shown)
    assert {rau_expected for _, _, rau_expected, _ in before} == {None}
    migrate(empty_database)
    assert rows(first_release, shown) == before
    assert rows(first_release, "SELECT scope, stands FROM scoring.rau_prediction ORDER BY 1") == [
        ("radiograph", False),
        ("visit", False),
    ]


def test_a_bad_row_of_the_first_release_is_kept_and_told(first_release, empty_database, caplog):
    rows_before = "SELECT id_x, patient_id, sop_iuid FROM registry.consultation ORDER BY id_x"
    with transaction(first_release) as connection:
        connection.exec_driver_sql(SOMEBODY_ELSES_RADIOGRAPH)
    before = rows(first_release, rows_before)
    migrate(empty_database)
    assert rows(first_release, rows_before) == before
    assert "registry.consultation break consultation_of_radiographs_patient: they are kept" in caplog.text
    assert rows(first_release, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == [
        ("consultation_of_radiographs_patient",)
    ]
    with pytest.raises(sa.exc.IntegrityError, match="consultation_of_radiographs_patient"):
        rows(first_release, SOMEBODY_ELSES_RADIOGRAPH.replace("'3'", "'4'"))


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        (
            "consultation_of_radiographs_patient",
            "UPDATE registry.consultation SET patient_id = 'patient-b' WHERE id_x = '1'",
        ),
        ("joint_reading_of_radiographs_patient", "UPDATE registry.joint_reading SET patient_id = 'patient-b'"),
        ("joint_reading_of_radiographs_patient", "UPDATE registry.joint_reading SET sop_iuid = 'radiograph-b'"),
        ("joint_prediction_of_image", "UPDATE scoring.joint_prediction SET joint = 'hand_left_2'"),
        ("joint_prediction_of_image", "UPDATE scoring.joint_prediction SET sop_iuid = 'radiograph-b'"),
        (
            "joint_prediction_is_distribution",
            "UPDATE scoring.joint_prediction SET grade_probability = '{0.5,0.1,0.1,0,0,0}'",
        ),
        (
            "joint_prediction_is_distribution",
            "UPDATE scoring.joint_prediction SET grade_probability = '{1.5,-0.5,0,0,0,0}'",
        ),
        (
            "rau_prediction_of_radiograph",
            "UPDATE scoring.rau_prediction SET sop_iuid = 'radiograph-z' WHERE scope = 'radiograph'",
        ),
    ],
)
def test_a_bad_state_is_refused(warehouse, constraint, statement):
    owner = warehouse.engine(warehouse.owner_url)
    with transaction(owner) as connection:
        connection.exec_driver_sql(FIRST_RELEASE)
        with pytest.raises(sa.exc.IntegrityError, match=constraint), connection.begin_nested():
            connection.exec_driver_sql(statement)


def test_a_radiograph_takes_its_readings_along_to_another_patient(warehouse):
    owner = warehouse.engine(warehouse.owner_url)
    with transaction(owner) as connection:
        connection.exec_driver_sql(FIRST_RELEASE)
        connection.exec_driver_sql(
            "UPDATE registry.radiograph SET patient_id = 'patient-c' WHERE sop_iuid = 'radiograph-a'"
        )
    for table in ("consultation", "joint_reading"):
        query = f"SELECT patient_id FROM registry.{table} WHERE sop_iuid = 'radiograph-a'"  # noqa: S608 - our own names
        assert rows(owner, query) == [("patient-c",)]


def test_migrating_without_rights_names_what_the_administrator_must_do(warehouse, own_sql):
    change(own_sql / "grants" / "020_analyst.sql")
    with pytest.raises(WarehouseNotMigrated, match="lacks a right"):
        migrate(warehouse.analyst_url)


def test_a_server_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(WarehouseUnavailable, match="database scoring at"):
        migrate(f"postgresql://scoring_owner@/scoring?host={tmp_path}")


def test_everything_is_commented(warehouse):
    missing = rows(
        warehouse.engine(),
        """
        SELECT n.nspname, c.relname, a.attname
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped
        WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'v', 'm', 'p')
            AND col_description(c.oid, a.attnum) IS NULL
        UNION ALL
        SELECT n.nspname, c.relname, '' FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'v', 'm', 'p')
            AND obj_description(c.oid, 'pg_class') IS NULL
        UNION ALL
        SELECT n.nspname, '', '' FROM pg_namespace AS n
        WHERE n.nspname = ANY(:schemas) AND obj_description(n.oid, 'pg_namespace') IS NULL
        """,
        schemas=list(SCHEMAS),
    )
    assert missing == []


def test_every_number_that_analysts_see_has_a_unit_or_a_range(warehouse):
    """Which words of a comment count as one stands in `scoring.warehouse.catalogue`."""
    with warehouse.engine().connect() as connection:
        views = catalogue.relations(connection, ("analyst",))
    assert [
        f"{view.full_name}.{column.name}: {column.comment}"
        for view in views
        for column in view.columns
        if column.is_numeric and not column.unit
    ] == []


def test_a_view_that_shows_a_prediction_says_whether_it_is_synthetic(warehouse):
    marked = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'analyst' AND column_name = :name"
    owner = warehouse.engine(warehouse.owner_url)
    with_model = rows(owner, marked, name="model_version")
    assert with_model
    assert set(with_model) <= set(rows(owner, marked, name="trained_on_synthetic"))


def test_every_object_belongs_to_the_owner(warehouse):
    strangers = rows(
        warehouse.engine(),
        "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class AS c JOIN pg_namespace AS n"
        " ON n.oid = c.relnamespace WHERE n.nspname = ANY(:schemas)"
        " AND pg_get_userbyid(c.relowner) <> 'scoring_owner'",
        schemas=list(SCHEMAS),
    )
    assert strangers == []


VIEWS = sorted(path.stem.partition("_")[2] for path in (SQL / "views").glob("*.sql"))
TABLES = (
    "registry.radiograph",
    "registry.consultation",
    "registry.joint_reading",
    "registry.disease_activity",
    "registry.landing_file",
    "registry.correction",
    "imaging.joint_image",
    "scoring.run",
    "scoring.run_count",
    "scoring.run_result",
    "scoring.run_quarantine",
    "scoring.model_version",
    "scoring.promotion",
    "scoring.activation",
    "scoring.rescoring_rejection",
    "scoring.training_snapshot",
    "scoring.challenge",
    "scoring.challenge_decision",
    "scoring.joint_prediction",
    "scoring.rau_prediction",
    "scoring.quarantine",
    "analytics.association",
    "analytics.correlation",
    "analytics.model_comparison",
    "analytics.rau_forecast",
)
APPEND_ONLY = {
    "registry.correction",
    "imaging.joint_image",
    "scoring.run",
    "scoring.run_count",
    "scoring.run_result",
    "scoring.run_quarantine",
    "scoring.model_version",
    "scoring.promotion",
    "scoring.activation",
    "scoring.rescoring_rejection",
    "scoring.training_snapshot",
    "scoring.challenge",
    "scoring.challenge_decision",
    "scoring.joint_prediction",
}


def test_the_list_of_tables_is_complete(warehouse):
    found = rows(
        warehouse.engine(),
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = ANY(:schemas)",
        schemas=list(SCHEMAS),
    )
    assert {name for (name,) in found} == {*TABLES, "scoring.alembic_version", "scoring.repeatable"}


@pytest.mark.parametrize("table", TABLES)
def test_the_job_may_do_just_what_it_must(warehouse, table):
    granted = {
        privilege
        for (privilege,) in rows(
            warehouse.engine(warehouse.superuser_url),
            "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])"
            " AS p WHERE has_table_privilege('scoring_job', :table, p)",
            table=table,
        )
    }
    assert granted == {"SELECT", "INSERT"} | (set() if table in APPEND_ONLY else {"UPDATE"})


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM scoring.quarantine",
        "TRUNCATE scoring.run",
        "UPDATE scoring.joint_prediction SET predicted_percent = 0",
        "UPDATE scoring.run SET triggered_by = 'nobody'",
        "CREATE TABLE scoring.mine (x int)",
        "DROP VIEW analyst.run_reconciliation",
        "ALTER TABLE scoring.run ADD COLUMN x int",
        "UPDATE scoring.alembic_version SET version_num = '0001'",
    ],
)
def test_the_job_is_refused_the_rest(warehouse, statement):
    with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
        rows(warehouse.engine(), statement)


@pytest.mark.parametrize("view", VIEWS)
def test_analysts_read_every_view(warehouse, view):
    assert rows(warehouse.engine(warehouse.analyst_url), f"SELECT * FROM analyst.{view}") == []  # noqa: S608 - our own names


@pytest.mark.parametrize("table", [*TABLES, "scoring.repeatable"])
def test_analysts_read_no_table(warehouse, table):
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied for schema"):
        rows(warehouse.engine(warehouse.analyst_url), f"SELECT * FROM {table}")  # noqa: S608 - our own names


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE analyst.mine (x int)", "CREATE TEMP TABLE mine (x int)", "DROP VIEW analyst.run_reconciliation"],
)
def test_analysts_write_nothing(warehouse, statement):
    analyst = warehouse.engine(warehouse.analyst_url)
    with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
        rows(analyst, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE analyst.mine (x int)",
        "DROP VIEW analyst.run_reconciliation",
        "UPDATE analyst.quarantine_open SET reason = 'x'",
        "DELETE FROM analyst.quarantine_open",
    ],
)
def test_analysts_who_lift_the_read_only_default_still_lack_the_rights(warehouse, statement):
    with transaction(warehouse.engine(warehouse.analyst_url)) as connection:
        connection.execute(sa.text("SET TRANSACTION READ WRITE"))
        with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
            connection.execute(sa.text(statement))


@pytest.mark.parametrize("role", ["scoring_analyst", "scoring_job"])
@pytest.mark.parametrize("schema", ["public", *SCHEMAS])
def test_nobody_but_the_owner_creates_tables(warehouse, role, schema):
    with transaction(warehouse.engine(warehouse.superuser_url)) as connection:
        connection.execute(sa.text(f"SET LOCAL ROLE {role}"))
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied for schema"):
            connection.execute(sa.text(f"CREATE TABLE {schema}.mine (x int)"))


CREATED_BY_ANYBODY = "SELECT has_schema_privilege('scoring_analyst', 'public', 'CREATE')"


def test_a_schema_public_that_is_open_to_all_is_closed(warehouse):
    """As databases of PostgreSQL 14 have it, and those upgraded from it."""
    superuser = warehouse.engine(warehouse.superuser_url)
    with transaction(superuser) as connection:
        connection.execute(sa.text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
    assert rows(superuser, CREATED_BY_ANYBODY) == [(True,)]
    migrate(warehouse.superuser_url)
    assert rows(superuser, CREATED_BY_ANYBODY) == [(False,)]


def test_who_may_not_close_schema_public_says_what_to_run(warehouse, caplog):
    superuser = warehouse.engine(warehouse.superuser_url)
    with transaction(superuser) as connection:
        connection.execute(sa.text("ALTER SCHEMA public OWNER TO CURRENT_USER"))
        connection.execute(sa.text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
    migrate(warehouse.owner_url)
    assert "ask the administrator to run REVOKE CREATE ON SCHEMA public FROM PUBLIC" in caplog.text
    assert rows(superuser, CREATED_BY_ANYBODY) == [(True,)]


def test_the_job_is_granted_each_right_on_the_database_that_it_lacks(warehouse):
    superuser = warehouse.engine(warehouse.superuser_url)
    with transaction(superuser) as connection:
        connection.execute(sa.text(f"REVOKE TEMP ON DATABASE {warehouse.name} FROM PUBLIC, scoring_job"))
    held = "SELECT has_database_privilege('scoring_job', current_database(), 'TEMP')"
    assert rows(superuser, held) == [(False,)]
    migrate(warehouse.owner_url)
    assert rows(superuser, held) == [(True,)]


def test_a_member_of_the_analysts_has_their_rights(warehouse):
    with transaction(warehouse.engine(warehouse.superuser_url)) as connection:
        connection.execute(sa.text("SET ROLE scoring_analyst"))
        connection.execute(sa.text("SELECT * FROM analyst.run_reconciliation"))
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied for schema"):
            connection.execute(sa.text("SELECT * FROM scoring.run"))


def test_analysts_have_a_time_limit(warehouse):
    analyst = warehouse.engine(warehouse.analyst_url)
    assert rows(analyst, "SHOW statement_timeout") == [("1min",)]
    assert rows(analyst, "SHOW default_transaction_read_only") == [("on",)]
    assert rows(analyst, "SHOW work_mem") == [("32MB",)]
