"""Who may do what, over everything that the catalogue holds: a new table or view is covered on the day it comes."""

import re

import pytest
import sqlalchemy as sa

SCHEMAS = ("registry", "imaging", "scoring", "analytics", "analyst")
OBJECTS = """
SELECT n.nspname, c.relname, c.relkind
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY n.nspname, c.relname
"""
TELLING = re.compile(
    r"(^|_)(name|surname|first_?name|last_?name|vorname|nachname|birth\w*|born|dob|geburts?\w*|address|street|phone|"
    r"e?mail|ahv|ssn)($|_)"
)
# Names of things, not of people.
NAMES_OF_THINGS = {"file_name", "value_name", "name"}


@pytest.fixture
def connection(warehouse):
    """The superuser's, who takes on roles by SET ROLE."""
    with warehouse.engine(warehouse.superuser_url).connect() as connection:
        yield connection


def objects(connection):
    found = [tuple(row) for row in connection.execute(sa.text(OBJECTS), {"schemas": list(SCHEMAS)})]
    assert len(found) > 40
    return found


def refused(connection, role, statement):
    """Whether PostgreSQL refuses a role a statement for want of rights; whatever it did is undone."""
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


def test_analysts_read_the_views_of_their_schema_and_nothing_else(connection):
    found = objects(connection)
    readable = {
        (schema, name)
        for schema, name, _ in found
        if not refused(connection, "scoring_analyst", f"SELECT * FROM {schema}.{name} LIMIT 0")  # noqa: S608
    }
    assert readable == {(schema, name) for schema, name, kind in found if schema == "analyst"}
    assert {kind for schema, _, kind in found if schema == "analyst"} == {"v"}


@pytest.mark.parametrize("role", ["scoring_analyst", "scoring_job"])
def test_nobody_deletes_empties_drops_or_alters_anything(connection, role):
    allowed = []
    for schema, name, kind in objects(connection):
        what = "VIEW" if kind == "v" else "TABLE"
        statements = [f"DROP {what} {schema}.{name} CASCADE", f"ALTER {what} {schema}.{name} RENAME TO mine"]
        if kind != "v":
            statements += [f"TRUNCATE {schema}.{name} CASCADE", f"DELETE FROM {schema}.{name}"]  # noqa: S608
        allowed += [statement for statement in statements if not refused(connection, role, statement)]
    assert allowed == []


def test_analysts_write_to_nothing(connection):
    granted = connection.execute(
        sa.text(
            "SELECT n.nspname, c.relname, p FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p"
            " WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND has_table_privilege('scoring_analyst', c.oid, p)"
        ),
        {"schemas": list(SCHEMAS)},
    ).all()
    assert granted == []


def test_the_job_does_not_rewrite_what_was_predicted_or_corrected(connection):
    for table, column in (
        ("scoring.joint_prediction", "predicted_percent"),
        ("registry.correction", "was"),
        ("scoring.run", "trigger"),
    ):
        statement = f"UPDATE {table} SET {column} = {column}"  # noqa: S608 - our own names
        assert refused(connection, "scoring_job", statement), table


def test_a_refusal_can_be_told_from_a_right(connection):
    """The check above can fail: what the job may do is not refused."""
    assert not refused(connection, "scoring_job", "UPDATE registry.disease_activity SET esr = 1")
    assert not refused(connection, "scoring_owner", "DELETE FROM registry.disease_activity")


def test_no_column_is_named_for_what_tells_who_a_patient_is(connection):
    columns = connection.execute(
        sa.text(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = ANY(:schemas)"
        ),
        {"schemas": list(SCHEMAS)},
    ).all()
    telling = [tuple(column) for column in columns if TELLING.search(column[2])]
    assert [column for column in telling if column[2] not in NAMES_OF_THINGS] == []


@pytest.mark.parametrize("name", ["birth_date", "patient_name", "geburtsdatum", "first_name", "email", "dob"])
def test_a_telling_column_would_be_found(name):
    assert TELLING.search(name)
