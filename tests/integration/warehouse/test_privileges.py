"""Privileges of the roles over everything in the catalogue, so that a new table or view is covered at once."""

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from scoring.warehouse.catalogue import SCHEMAS
from scoring.warehouse.engine import transaction
from tests.lib.warehouse import Warehouse, rows

OBJECTS = """
SELECT n.nspname, c.relname, c.relkind
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY n.nspname, c.relname
"""
GRANTED = """
SELECT n.nspname || '.' || c.relname AS name, array_agg(p) FILTER (WHERE has_table_privilege(:role, c.oid, p)) AS held
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p
WHERE n.nspname = ANY(:schemas) AND c.relkind = ANY(:kinds)
GROUP BY 1
"""
UPDATED = {
    "registry.radiograph",
    "registry.consultation",
    "registry.joint_reading",
    "registry.disease_activity",
    "registry.landing_file",
    "scoring.rau_prediction",
    "scoring.quarantine",
    "analytics.association",
    "analytics.correlation",
    "analytics.model_comparison",
    "analytics.rau_forecast",
}
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
MIGRATION_RECORDS = {"scoring.alembic_version", "scoring.repeatable"}

IDENTIFYING = re.compile(
    r"(^|_)(name|surname|first_?name|last_?name|vorname|nachname|birth\w*|born|dob|geburts?\w*|address|street|phone|"
    r"e?mail|ahv|ssn)($|_)"
)
# Names of things, not of people.
NAMES_OF_THINGS = {"file_name", "value_name", "name"}


@pytest.fixture(scope="module")
def warehouse(new_warehouse) -> Iterator[Warehouse]:
    """One warehouse for all tests of this module: none of their statements succeeds, or it is rolled back."""
    with new_warehouse() as made:
        yield made


@pytest.fixture
def connection(warehouse) -> Iterator[Connection]:
    """A connection of the superuser, which takes on roles."""
    with warehouse.engine(warehouse.superuser_url).connect() as connection:
        yield connection


def objects(connection) -> list[tuple]:
    found = [tuple(row) for row in connection.execute(sa.text(OBJECTS), {"schemas": list(SCHEMAS)})]
    assert len(found) > 40
    return found


def granted(connection, role: str, kinds: str) -> dict[str, set[str]]:
    params = {"role": role, "schemas": list(SCHEMAS), "kinds": list(kinds)}
    return {row.name: set(row.held or ()) for row in connection.execute(sa.text(GRANTED), params)}


def is_denied(connection, role: str, statement: str) -> bool:
    """Return whether a role lacks the privilege for a statement; its effects are rolled back."""
    with connection.begin_nested() as undone:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        try:
            connection.exec_driver_sql(statement)
        except sa.exc.ProgrammingError as error:
            if error.orig.pgcode != "42501":
                raise
            return True
        finally:
            undone.rollback()
    return False


def test_is_denied_distinguishes_denied_from_granted_statements(connection):
    assert not is_denied(connection, "scoring_job", "UPDATE registry.disease_activity SET esr = 1")
    assert not is_denied(connection, "scoring_owner", "DELETE FROM registry.disease_activity")
    assert is_denied(connection, "scoring_job", "DELETE FROM registry.disease_activity")


# ---- the job


def test_job_reads_and_inserts_and_updates_only_what_it_must(connection):
    found = granted(connection, "scoring_job", "rp")
    assert found == {
        **{table: {"SELECT", "INSERT", "UPDATE"} for table in UPDATED},
        **{table: {"SELECT", "INSERT"} for table in APPEND_ONLY},
        **{table: {"SELECT"} for table in MIGRATION_RECORDS},
    }


@pytest.mark.parametrize("role", ["scoring_analyst", "scoring_job"])
def test_no_role_but_the_owner_deletes_empties_drops_or_alters_anything(connection, role):
    allowed = []
    for schema, name, kind in objects(connection):
        word = "VIEW" if kind == "v" else "TABLE"
        statements = [f"DROP {word} {schema}.{name} CASCADE", f"ALTER {word} {schema}.{name} RENAME TO mine"]
        if kind != "v":
            statements += [f"TRUNCATE {schema}.{name} CASCADE", f"DELETE FROM {schema}.{name}"]  # noqa: S608
        allowed += [statement for statement in statements if not is_denied(connection, role, statement)]
    assert allowed == []


def test_job_does_not_rewrite_predictions_corrections_and_runs(connection):
    for table, column in (
        ("scoring.joint_prediction", "predicted_percent"),
        ("registry.correction", "old_values"),
        ("scoring.run", "triggered_by"),
        ("scoring.alembic_version", "version_num"),
    ):
        statement = f"UPDATE {table} SET {column} = {column}"  # noqa: S608 - constants
        assert is_denied(connection, "scoring_job", statement), table


@pytest.mark.parametrize("role", ["scoring_analyst", "scoring_job"])
def test_no_role_but_the_owner_creates_tables(connection, role):
    for schema in ("public", *SCHEMAS):
        assert is_denied(connection, role, f"CREATE TABLE {schema}.mine (x int)"), schema


# ---- analysts


def test_analysts_read_the_views_of_their_schema_and_nothing_else(connection):
    found = objects(connection)
    readable = {
        (schema, name)
        for schema, name, _ in found
        if not is_denied(connection, "scoring_analyst", f"SELECT * FROM {schema}.{name} LIMIT 0")  # noqa: S608
    }
    assert readable == {(schema, name) for schema, name, kind in found if schema == "analyst"}
    assert {kind for schema, _, kind in found if schema == "analyst"} == {"v"}


def test_analysts_write_to_nothing(connection):
    found = granted(connection, "scoring_analyst", "rpvmf")
    assert {name: held - {"SELECT"} for name, held in found.items() if held - {"SELECT"}} == {}


def test_analysts_have_read_only_transactions(warehouse):
    analyst = warehouse.engine(warehouse.analyst_url)
    for statement in (
        "CREATE TABLE analyst.mine (x int)",
        "CREATE TEMP TABLE mine (x int)",
        "DROP VIEW analyst.run_reconciliation",
    ):
        with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
            rows(analyst, statement)


def test_analysts_who_override_the_read_only_default_still_lack_the_privileges(warehouse):
    with transaction(warehouse.engine(warehouse.analyst_url)) as connection:
        connection.execute(sa.text("SET TRANSACTION READ WRITE"))
        for statement in (
            "CREATE TABLE analyst.mine (x int)",
            "DROP VIEW analyst.run_reconciliation",
            "UPDATE analyst.quarantine_open SET reason = 'x'",
            "DELETE FROM analyst.quarantine_open",
        ):
            denied = pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner")
            with denied, connection.begin_nested():
                connection.execute(sa.text(statement))


def test_analysts_have_limits_of_time_and_memory(warehouse):
    analyst = warehouse.engine(warehouse.analyst_url)
    assert rows(analyst, "SHOW statement_timeout") == [("1min",)]
    assert rows(analyst, "SHOW default_transaction_read_only") == [("on",)]
    assert rows(analyst, "SHOW work_mem") == [("32MB",)]


# ---- identifying columns


def test_no_column_has_the_name_of_identifying_data(connection):
    columns = connection.execute(
        sa.text(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = ANY(:schemas)"
        ),
        {"schemas": list(SCHEMAS)},
    ).all()
    found = [tuple(column) for column in columns if IDENTIFYING.search(column[2])]
    assert [column for column in found if column[2] not in NAMES_OF_THINGS] == []


@pytest.mark.parametrize("name", ["birth_date", "patient_name", "geburtsdatum", "first_name", "email", "dob"])
def test_identifying_pattern_finds_such_names(name):
    assert IDENTIFYING.search(name)
