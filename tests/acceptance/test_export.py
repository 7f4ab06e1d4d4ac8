"""Exports, read with the tools of their users: pandas, DuckDB, R, an OMOP database, a validator for FHIR."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from fhir.resources.R4B.observation import Observation
from omop_cdm.regular.cdm54 import tables as cdm54

from scoring.cli import main
from scoring.export.omop import MEASUREMENT
from scoring.settings import get_settings
from scoring.warehouse import catalogue

RSCRIPT = shutil.which("Rscript")


@pytest.fixture(scope="module")
def scoring(synthetic_warehouse):
    """Run a command of `scoring` in this process, on the synthetic warehouse."""
    from scoring.warehouse import connect

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCORING_WAREHOUSE_URL", synthetic_warehouse.job_url)
        patch.setenv("SCORING_CODE_REVISION", "v0")
        get_settings.cache_clear()
        yield lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])
        get_settings.cache_clear()
        connect._engine.cache_clear()


@pytest.fixture(scope="module")
def exported(scoring, tmp_path_factory):
    """The folder of each format's export."""
    folders = {}
    for name in ("parquet", "csv", "omop", "fhir"):
        folders[name] = tmp_path_factory.mktemp("exports") / name
        result = scoring("export", "--format", name, "--out", folders[name])
        assert result.exit_code == 0, result.output
    return folders


@pytest.fixture(scope="module")
def views(synthetic_warehouse):
    """Every view of schema analyst, with its number of rows."""
    with synthetic_warehouse.engine(synthetic_warehouse.analyst_url).connect() as connection:
        found = catalogue.relations(connection, ("analyst",))
        return {
            view: connection.scalar(sa.text(f"SELECT count(*) FROM {view.full_name}"))  # noqa: S608 - from the catalogue
            for view in found
        }


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_export_parquet_is_read_by_duckdb_with_rows_and_types_of_every_view(exported, views):
    assert len(views) >= 14
    assert sum(views.values()) > 0
    with duckdb.connect() as database:
        for view, n_rows in views.items():
            source = f"read_parquet('{exported['parquet']}/{view.name}/**/*.parquet', hive_partitioning = true)"
            found = database.sql(f"SELECT * FROM {source}")  # noqa: S608 - names of the catalogue
            assert found.aggregate("count(*)").fetchall() == [(n_rows,)], view.name
            types = dict(zip(found.columns, map(str, found.types), strict=True))
            for column in view.columns:
                assert types[column.name] == duckdb_type(column.type), f"{view.name}.{column.name}"


DUCKDB_TYPES = {
    "boolean": "BOOLEAN",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "numeric": "DOUBLE",
    "date": "DATE",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
}


def duckdb_type(postgres_type: str) -> str:
    element = postgres_type.removesuffix("[]")
    return DUCKDB_TYPES.get(element, "VARCHAR") + postgres_type.removeprefix(element)


def test_export_manifest_describes_the_views(exported, views):
    for name in ("parquet", "csv"):
        content = manifest(exported[name])
        assert {each["name"]: each["rows"] for each in content["views"]} == {view.name: n for view, n in views.items()}
        assert content["champion"]["model_version"] == "example-2"
        assert content["synthetic"] is True
        assert "say nothing about patients" in content["notice"]
        assert content["newest_batch"] == "2026-11-22"
        (rau,) = [each for each in content["views"] if each["name"] == "rau_by_visit"]
        units = {column["name"]: column["unit"] for column in rau["columns"]}
        assert units["rau_expected"] == "points"
        assert all(column["comment"] for each in content["views"] for column in each["columns"])
    assert {each["name"]: each["partitioned_by_year_of"] for each in manifest(exported["parquet"])["views"]}[
        "rau_by_visit"
    ] == "visit_date"


def test_export_gives_pandas_the_values_of_the_warehouse(exported, synthetic_warehouse):
    key = ["patient_id", "visit_date"]
    engine = synthetic_warehouse.engine(synthetic_warehouse.analyst_url)
    with engine.connect() as connection:
        expected = pd.read_sql(
            sa.text("SELECT * FROM analyst.rau_by_visit ORDER BY patient_id, visit_date"), connection
        )
    parquet = pd.read_parquet(exported["parquet"] / "rau_by_visit").sort_values(key, ignore_index=True)
    # The name of the folder adds a column with the year.
    assert set(parquet["visit_date_year"].astype(int)) == {day.year for day in expected["visit_date"]}
    pd.testing.assert_frame_equal(parquet[expected.columns], expected, check_dtype=False)
    csv = pd.read_csv(exported["csv"] / "rau_by_visit.csv", dtype={"patient_id": "str"}).sort_values(
        key, ignore_index=True
    )
    assert csv["patient_id"].tolist() == expected["patient_id"].tolist()
    assert csv["extrapolated"].tolist() == expected["extrapolated"].tolist()
    assert csv["rau_expected"].to_numpy() == pytest.approx(expected["rau_expected"].to_numpy(), nan_ok=True)


def test_export_csv_has_the_columns_of_every_view_even_without_rows(exported, views):
    assert 0 in views.values()
    for view, n_rows in views.items():
        read = pd.read_csv(exported["csv"] / f"{view.name}.csv", dtype="str")
        assert list(read.columns) == [column.name for column in view.columns]
        assert len(read) == n_rows


def r(script: str, *arguments: object) -> str:
    result = subprocess.run([RSCRIPT, "--vanilla", "-e", script, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.skipif(RSCRIPT is None, reason="no Rscript: apt-get install r-base-core")
def test_export_csv_is_read_by_r(exported, synthetic_warehouse):
    script = (
        "rau <- read.csv(commandArgs(TRUE)[1], colClasses = c(patient_id = 'character', visit_date = 'Date'));"
        "cat(nrow(rau), min(rau$patient_id), format(min(rau$visit_date)), sum(rau$n_scored), class(rau$extrapolated))"
    )
    with synthetic_warehouse.engine().connect() as connection:
        expected = connection.execute(
            sa.text("SELECT count(*), min(patient_id), min(visit_date), sum(n_scored) FROM analyst.rau_by_visit")
        ).one()
    assert r(script, exported["csv"] / "rau_by_visit.csv") == " ".join(map(str, [*expected, "logical"]))


@pytest.mark.skipif(
    RSCRIPT is None
    or subprocess.run([RSCRIPT, "-e", "library(DBI); library(RPostgreSQL)"], capture_output=True).returncode != 0,
    reason="no Rscript with DBI and RPostgreSQL: apt-get install r-base-core r-cran-dbi r-cran-rpostgresql",
)
def test_warehouse_is_read_by_r_with_dbi(synthetic_warehouse):
    url = sa.engine.make_url(synthetic_warehouse.analyst_url)
    script = (
        "library(DBI); to <- commandArgs(TRUE);"
        "warehouse <- dbConnect(RPostgreSQL::PostgreSQL(), host = to[1], user = to[2], dbname = to[3]);"
        "rau <- dbGetQuery(warehouse, 'SELECT patient_id, rau_expected FROM analyst.rau_by_visit ORDER BY 1');"
        "cat(nrow(rau), rau$patient_id[1])"
    )
    with synthetic_warehouse.engine().connect() as connection:
        n_rows = connection.scalar(sa.text("SELECT count(*) FROM analyst.rau_by_visit"))
    assert r(script, url.query["host"], url.username, url.database) == f"{n_rows} 00001"


def test_export_omop_loads_into_the_published_structure(exported, warehouse, views):
    published = cdm54.Measurement.__table__
    assert MEASUREMENT.names == [column.name for column in published.columns]
    required = [column.name for column in published.columns if not column.nullable]
    assert [field.name for field in MEASUREMENT if not field.nullable] == required
    # The tables that its foreign keys reference belong to the hospital.
    table = sa.Table(
        "measurement",
        sa.MetaData(),
        *(
            sa.Column(column.name, column.type, nullable=column.nullable, primary_key=column.primary_key)
            for column in published.columns
        ),
    )
    engine = warehouse.engine(warehouse.superuser_url)
    with engine.begin() as connection, (exported["omop"] / "measurement.csv").open() as file:
        table.create(connection)
        cursor = connection.connection.driver_connection.cursor()
        cursor.copy_expert("COPY measurement FROM STDIN (FORMAT csv, HEADER match)", file)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table)).mappings().all()
    rows_of = {view.name: n for view, n in views.items()}
    measured = Counter(row["measurement_source_value"].partition(" ")[0] for row in rows)
    assert measured["erosion"] == measured["ratingen"] == rows_of["current_joint_prediction"]
    assert measured["rau"] == rows_of["rau_by_visit"]
    assert measured["das28_esr4"] > 0
    assert {row["unit_concept_id"] for row in rows if row["unit_source_value"] == "%"} == {8554}
    assert all("synthetic" in row["value_source_value"] for row in rows if "rau" in row["measurement_source_value"])
    persons = pd.read_csv(exported["omop"] / "person_map.csv", dtype={"patient_id": "str"})
    assert {row["person_id"] for row in rows} <= set(persons["person_id"])
    assert not persons["patient_id"].duplicated().any()


def test_export_omop_keeps_person_numbers_of_earlier_exports(scoring, exported, tmp_path):
    known = tmp_path / "persons.csv"
    known.write_text("person_id,patient_id\n17,00003\n4,former patient\n")
    assert scoring("export", "--format", "omop", "--out", tmp_path / "a", "--persons", known).exit_code == 0
    # A replacement uses the map of the replaced export by default.
    assert scoring("export", "--format", "omop", "--out", tmp_path / "a", "--overwrite").exit_code == 0
    persons = pd.read_csv(tmp_path / "a" / "person_map.csv", dtype={"patient_id": "str"}).set_index("patient_id")
    assert persons["person_id"].loc[["00003", "former patient"]].tolist() == [17, 4]
    assert sorted(persons["person_id"])[2:] == list(range(18, 18 + len(persons) - 2))


def test_export_fhir_has_the_published_structure(exported, views):
    rows_of = {view.name: n for view, n in views.items()}
    for name, view, unit in (("joint", "current_joint_prediction", "%"), ("rau", "rau_by_visit", "{score}")):
        lines = (exported["fhir"] / f"Observation.{name}.ndjson").read_text().splitlines()
        assert len(lines) == rows_of[view]
        found = [Observation.model_validate_json(line) for line in lines]
        assert len({each.id for each in found}) == len(found)
        for each in found:
            assert each.status == "preliminary"
            assert each.valueQuantity.code == unit
            assert each.valueQuantity.system == "http://unitsofmeasure.org"
            low, high = (part.valueQuantity.value for part in each.component[:2])
            assert low <= high
            assert each.derivedFrom[0].identifier.value.startswith("urn:oid:2.25.")
            assert each.device.display == "model example-2"
            assert "synthetic" in each.note[0].text


def test_export_exits_with_code_9_if_the_folder_has_content(scoring, exported, tmp_path):
    taken = scoring("export", "--format", "csv", "--out", exported["csv"])
    assert taken.exit_code == 9
    assert "--overwrite" in taken.stderr
    assert scoring("export", "--format", "csv", "--out", exported["csv"], "--overwrite").exit_code == 0
    (tmp_path / "thesis.txt").write_text("years of work")
    assert scoring("export", "--format", "csv", "--out", tmp_path, "--overwrite").exit_code == 9
    assert scoring("export", "--format", "csv", "--out", tmp_path / "x", "--persons", "map.csv").exit_code == 9
    assert not (tmp_path / "x").exists()


def test_dictionary_writes_into_the_given_folder(scoring, tmp_path):
    written = scoring("dictionary", "--out", tmp_path).stdout.split()
    assert [Path(path).name for path in written] == ["dictionary.md", "er.md"]
    assert "view analyst.rau_by_visit" in Path(written[0]).read_text()
