from datetime import UTC, date, datetime
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from scoring.export.tables import arrow_type, partition_column, table_schema, write_csv, write_parquet
from scoring.warehouse.catalogue import Column, Relation

SCHEMA = pa.schema([("patient_id", pa.string()), ("day", pa.date32()), ("grades", pa.list_(pa.float32()))])


def view(**types: str) -> Relation:
    columns = tuple(
        Column(name, kind, nullable=True, comment="Days, percent.", filled="") for name, kind in types.items()
    )
    return Relation("analyst", "v", "view", "A view.", columns, ())


@pytest.mark.parametrize(
    ("postgres", "arrow"),
    [
        ("date", pa.date32()),
        ("real", pa.float32()),
        ("double precision", pa.float64()),
        ("numeric(6,2)", pa.float64()),
        ("bigint", pa.int64()),
        ("smallint", pa.int16()),
        ("boolean", pa.bool_()),
        ("timestamp with time zone", pa.timestamp("us", tz="UTC")),
        ("real[]", pa.list_(pa.float32())),
        ("text[]", pa.list_(pa.string())),
        ("numeric(6,2)[]", pa.list_(pa.float64())),
        ("uuid", pa.string()),
        ("jsonb", pa.string()),
    ],
)
def test_arrow_type_keeps_the_type(postgres, arrow):
    assert arrow_type(postgres) == arrow


def test_table_schema_has_comment_and_unit_of_each_column():
    field = table_schema(view(x="real"), "parquet").field("x")
    assert field.metadata == {b"comment": b"Days, percent.", b"unit": b"percent"}


def test_partition_column_is_the_first_date():
    assert partition_column(view(a="text", b="date", c="date")) == "b"
    assert partition_column(view(a="timestamp with time zone")) is None


@given(
    years=st.lists(st.one_of(st.none(), st.integers(1990, 1993)), max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=3),
)
def test_write_parquet_writes_one_file_per_year_for_any_batches(tmp_path_factory, years, cuts):
    folder = UPath(tmp_path_factory.mktemp("view"))
    years = sorted(years, key=lambda year: (year is None, year))
    rows = [(str(n), year and date(year, 1, 1 + n), [n / 2]) for n, year in enumerate(years)]
    bounds = [0, *sorted(cuts), len(rows)]
    batches = [rows[a:b] for a, b in pairwise(bounds) if rows[a:b]]
    assert write_parquet(batches, SCHEMA, folder, "day") == len(rows)

    found = {path.parent.name: pq.read_table(str(path), partitioning=None) for path in folder.rglob("*.parquet")}
    if not rows:
        assert [table.schema for table in found.values()] == [SCHEMA]
        return
    assert set(found) == {f"day_year={year or '__HIVE_DEFAULT_PARTITION__'}" for year in years}
    back = [tuple(row.values()) for table in found.values() for row in table.to_pylist()]
    assert sorted(back, key=lambda row: int(row[0])) == rows


def test_write_csv_keeps_leading_zeros_and_leaves_missing_values_empty(tmp_path):
    schema = pa.schema(
        [("patient_id", pa.string()), ("day", pa.date32()), ("at", pa.timestamp("us", tz="UTC")), ("x", pa.float64())]
    )
    rows = [("00123", date(2020, 1, 2), datetime(2020, 1, 2, 3, tzinfo=UTC), 0.1), ("a, b", None, None, None)]
    assert write_csv([rows], schema, UPath(tmp_path / "v.csv")) == 2
    assert (tmp_path / "v.csv").read_text() == (
        '"patient_id","day","at","x"\n"00123",2020-01-02,2020-01-02 03:00:00.000000Z,0.1\n"a, b",,,\n'
    )
