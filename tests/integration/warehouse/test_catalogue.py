"""Comments, units, marks and owners of everything in the catalogue, and states that the constraints exclude."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from scoring.warehouse import catalogue
from scoring.warehouse.engine import transaction
from tests.lib import inserted
from tests.lib.warehouse import Warehouse, rows


@pytest.fixture(scope="module")
def warehouse(new_warehouse) -> Iterator[Warehouse]:
    """One warehouse for all tests of this module: they read, or roll back."""
    with new_warehouse() as made:
        with made.engine(made.superuser_url).begin() as connection:
            connection.exec_driver_sql(inserted.PREPARE)
            for patient in ("a", "b"):
                inserted.radiograph(connection, patient, 0)
            inserted.consultation(connection, "a", 0, "1", sop_iuid="a-0", reported_rau=12.0)
            inserted.reading(connection, "a", "1", "hand_left_1", 30.0, sop_iuid="a-0")
            inserted.prediction(connection, "a-0", "hand_left_1", 30.0)
            inserted.rau(connection, "a", 0, 76.0, n_scored=1)
        yield made


@pytest.fixture(scope="module")
def relations(warehouse) -> list[catalogue.Relation]:
    with transaction(warehouse.engine()) as connection:
        return catalogue.relations(connection)


def test_every_schema_relation_and_column_has_a_comment(warehouse, relations):
    with transaction(warehouse.engine()) as connection:
        schemas = catalogue.schema_comments(connection)
    assert set(schemas) == set(catalogue.SCHEMAS)
    assert all(schemas.values())
    assert [relation.full_name for relation in relations if not relation.comment] == []
    assert [
        f"{relation.full_name}.{column.name}"
        for relation in relations
        for column in relation.columns
        if not column.comment
    ] == []


def test_every_number_that_analysts_see_has_a_unit_or_a_range(relations):
    """`scoring.warehouse.catalogue` defines which words of a comment are a unit."""
    assert [
        f"{view.full_name}.{column.name}: {column.comment}"
        for view in relations
        for column in view.columns
        if view.schema == "analyst" and column.is_numeric and not column.unit
    ] == []


def test_columns_of_views_have_their_own_or_the_shared_comment(relations):
    comments = {
        f"{relation.full_name}.{column.name}": column.comment for relation in relations for column in relation.columns
    }
    assert comments["analyst.rau_by_visit.patient_id"] == "Patient pseudonym from the registry."
    assert comments["analyst.eular_response.visit_date"] == "Date of the later visit."
    forecast = "rau_forecast.p_beyond_sdc"
    assert comments[f"analyst.{forecast}"] == comments[f"analytics.{forecast}"]


def test_every_view_with_predictions_says_whether_they_are_synthetic(relations):
    columns = {view.name: {column.name for column in view.columns} for view in relations if view.schema == "analyst"}
    with_model = {name for name, names in columns.items() if "model_version" in names}
    assert with_model
    assert {name for name in with_model if "trained_on_synthetic" not in columns[name]} == set()


def test_every_object_belongs_to_the_owner(warehouse):
    others = rows(
        warehouse.engine(),
        "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class AS c JOIN pg_namespace AS n"
        " ON n.oid = c.relnamespace WHERE n.nspname = ANY(:schemas)"
        " AND pg_get_userbyid(c.relowner) <> 'scoring_owner'",
        schemas=list(catalogue.SCHEMAS),
    )
    assert others == []


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("consultation_sop_iuid_patient_id_fkey", "UPDATE registry.consultation SET patient_id = 'b' WHERE id_x = '1'"),
        ("joint_reading_sop_iuid_patient_id_fkey", "UPDATE registry.joint_reading SET patient_id = 'b'"),
        ("joint_reading_sop_iuid_patient_id_fkey", "UPDATE registry.joint_reading SET sop_iuid = 'b-0'"),
        ("joint_prediction_image_sha256_sop_iuid_joint_fkey", "UPDATE scoring.joint_prediction SET joint = 'x'"),
        ("joint_prediction_image_sha256_sop_iuid_joint_fkey", "UPDATE scoring.joint_prediction SET sop_iuid = 'b-0'"),
        (
            "joint_prediction_is_distribution",
            "UPDATE scoring.joint_prediction SET grade_probability = '{0.5,0.1,0.1,0,0,0}'",
        ),
        (
            "joint_prediction_is_distribution",
            "UPDATE scoring.joint_prediction SET grade_probability = '{1.5,-0.5,0,0,0,0}'",
        ),
        (
            "rau_prediction_radiograph_sop_iuid_fkey",
            "UPDATE scoring.rau_prediction SET sop_iuid = 'z' WHERE scope = 'radiograph'",
        ),
    ],
)
def test_constraints_reject_records_that_contradict_each_other(warehouse, constraint, statement):
    with (
        warehouse.engine(warehouse.owner_url).connect() as connection,
        pytest.raises(sa.exc.IntegrityError, match=constraint),
    ):
        connection.execute(sa.text(statement))


def test_radiograph_takes_its_consultations_and_readings_to_another_patient(warehouse):
    with warehouse.engine(warehouse.owner_url).connect() as connection:
        connection.execute(sa.text("UPDATE registry.radiograph SET patient_id = 'c' WHERE sop_iuid = 'a-0'"))
        for table in ("consultation", "joint_reading"):
            query = f"SELECT patient_id FROM registry.{table} WHERE sop_iuid = 'a-0'"  # noqa: S608 - constants
            assert connection.scalars(sa.text(query)).all() == ["c"]
        connection.rollback()
