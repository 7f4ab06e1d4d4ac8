"""Bulk writes to PostgreSQL: exact text, exact counts, and the same result in any order of batches."""

import itertools
import traceback
from collections.abc import Iterable
from dataclasses import astuple
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from scoring.errors import BadInput
from scoring.warehouse.bulk import UpsertCounts, insert_missing, upsert
from scoring.warehouse.engine import transaction
from tests.lib.warehouse import execute, rows

EVERY_TYPE = (
    "id text PRIMARY KEY, whole integer, real_number double precision, yes boolean, day date, at timestamptz,"
    " uid uuid, shares real[], document jsonb"
)

TEXT = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0") | st.sampled_from("\t\n\r\\'\"N,{}.é\u2028"),
    max_size=12,
) | st.sampled_from(["\\N", "\\.", "NULL", "None", "nan", ""])


@pytest.fixture
def engine(warehouse) -> Engine:
    execute(warehouse.engine(warehouse.superuser_url), "CREATE SCHEMA trial AUTHORIZATION scoring_job")
    engine = warehouse.engine()
    execute(
        engine,
        "CREATE TABLE trial.note (id text PRIMARY KEY, score double precision, note text, batch_date date,"
        " first_batch_date date, source_file text)",
        f"CREATE TABLE trial.every_type ({EVERY_TYPE})",
    )
    return engine


def written(engine: Engine, table: str = "trial.note") -> list[tuple]:
    return rows(engine, f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - constants


def insert_all_types(connection, **columns: object) -> pd.Series:
    """Insert rows of which only some columns are not null."""
    index = columns.pop("index", None)
    every = [column.split()[0] for column in EVERY_TYPE.split(", ")]
    return insert_missing(connection, "trial.every_type", pd.DataFrame(columns, index=index).reindex(columns=every))


def truncate(engine: Engine) -> None:
    execute(engine, "TRUNCATE trial.note, trial.every_type")


def batch(day: int, values: dict[str, tuple[float | None, str | None]]) -> pd.DataFrame:
    batch_date = date(2026, 11, 1) + timedelta(days=day)
    return pd.DataFrame(
        [
            {
                "id": name,
                "score": score,
                "note": note,
                "batch_date": batch_date,
                "first_batch_date": batch_date,
                "source_file": f"{batch_date}/x.csv",
            }
            for name, (score, note) in values.items()
        ],
        columns=["id", "score", "note", "batch_date", "first_batch_date", "source_file"],
    )


def write(engine: Engine, frame: pd.DataFrame, *, newer_wins: bool = True) -> UpsertCounts:
    with transaction(engine) as connection:
        return upsert(connection, "trial.note", frame, newer_wins=newer_wins)


BATCH = st.dictionaries(
    st.sampled_from("abcde"), st.tuples(st.none() | st.floats(0, 1) | st.just(3.0), st.none() | TEXT), max_size=5
)


@settings(max_examples=30)
@given(first=BATCH, second=BATCH)
def test_upsert_counts_rows_by_outcome(engine, first, second):
    truncate(engine)
    assert write(engine, batch(0, first)) == UpsertCounts(new=len(first))
    counts = write(engine, batch(1, second))
    assert sum(astuple(counts)) == len(second)
    assert counts.new == len(second.keys() - first.keys())
    assert counts.unchanged == sum(name in first and first[name] == row for name, row in second.items())
    assert counts.superseded == 0
    kept = {name: row for name, *row in ((r[0], r[1], r[2]) for r in written(engine))}
    assert kept == {name: list(row) for name, row in (first | second).items()}


@settings(max_examples=20)
@given(values=BATCH)
def test_upsert_of_the_same_rows_writes_nothing(engine, values):
    truncate(engine)
    write(engine, batch(0, values))
    with transaction(engine) as connection:
        query = sa.text("SELECT id, xmin::text, ctid::text FROM trial.note ORDER BY id")
        before = connection.execute(query).all()
    assert write(engine, batch(0, values)) == UpsertCounts(unchanged=len(values))
    with transaction(engine) as connection:
        assert connection.execute(query).all() == before


@settings(max_examples=20)
@given(batches=st.lists(BATCH, min_size=3, max_size=3), order=st.permutations(range(3)))
def test_upsert_gives_the_same_result_in_any_order_of_batches(engine, batches, order):
    def state(days: Iterable[int]) -> list[tuple]:
        truncate(engine)
        for day in days:
            counts = write(engine, batch(day, batches[day]))
            assert sum(astuple(counts)) == len(batches[day])
        return written(engine)

    assert state(order) == state(range(3))


def test_upsert_of_a_late_batch_between_two_equal_ones_changes_nothing(engine):
    same = {"a": (1.0, "x")}
    results = []
    for order in itertools.permutations(range(3)):
        truncate(engine)
        for day in order:
            write(engine, batch(day, same if day != 1 else {"a": (2.0, "y")}))
        results.append(written(engine))
    day = date(2026, 11, 1)
    assert results == [[("a", 1.0, "x", day + timedelta(days=2), day, "2026-11-03/x.csv")]] * 6


def test_upsert_of_an_older_batch_only_lowers_the_first_batch_date(engine):
    write(engine, batch(5, {"a": (1.0, "new")}))
    assert write(engine, batch(2, {"a": (2.0, "old"), "b": (0.0, None)})) == UpsertCounts(new=1, superseded=1)
    first, second = written(engine)
    assert first == ("a", 1.0, "new", date(2026, 11, 6), date(2026, 11, 3), "2026-11-06/x.csv")
    assert second[3:5] == (date(2026, 11, 3), date(2026, 11, 3))


def test_upsert_without_newer_wins_keeps_the_last_written_row(engine):
    write(engine, batch(5, {"a": (1.0, "x")}), newer_wins=False)
    assert write(engine, batch(2, {"a": (2.0, "y")}), newer_wins=False) == UpsertCounts(updated=1)
    day = date(2026, 11, 1)
    assert written(engine)[0][1:5] == (2.0, "y", day + timedelta(days=2), day + timedelta(days=2))
    write(engine, batch(7, {"a": (3.0, "z")}), newer_wins=False)
    assert written(engine)[0][1:5] == (3.0, "z", day + timedelta(days=7), day + timedelta(days=2))


@settings(max_examples=60)
@given(st.lists(TEXT, min_size=1, max_size=8, unique=True))
def test_insert_missing_stores_any_text_unchanged(engine, texts):
    truncate(engine)
    with transaction(engine) as connection:
        insert_all_types(connection, id=texts)
        arrived = set(connection.scalars(sa.text("SELECT id FROM trial.every_type")))
    assert arrived == set(texts)


def test_insert_missing_stores_every_type_with_nulls(engine):
    frame = pd.DataFrame(
        {
            "id": ["1", "2"],
            "whole": [3.0, np.nan],
            "real_number": [0.1 + 0.2, -0.0],
            "yes": [True, None],
            "day": [date(2026, 11, 21), None],
            "at": [pd.Timestamp("2026-11-21 02:00", tz="UTC"), pd.NaT],
            "uid": ["00000000-0000-0000-0000-000000000001", None],
            "shares": [np.array([0.25, 0.75], dtype=np.float32), None],
            "document": ['{"a": "b\\\\n"}', None],
        }
    )
    with transaction(engine) as connection:
        insert_missing(connection, "trial.every_type", frame)
        first, second = connection.execute(
            sa.text(
                "SELECT whole, real_number, yes, day, at AT TIME ZONE 'UTC', uid::text, shares, document"
                " FROM trial.every_type ORDER BY id"
            )
        )
    assert first[:4] == (3, 0.1 + 0.2, True, date(2026, 11, 21))
    assert first[4].isoformat() == "2026-11-21T02:00:00"
    assert first[5:] == ("00000000-0000-0000-0000-000000000001", [0.25, 0.75], {"a": "b\\n"})
    assert second == (None, 0.0, None, None, None, None, None, None)


@pytest.mark.parametrize("dtype", ["Int64", "float64", "object"])
def test_insert_missing_stores_integers_with_nulls(engine, dtype):
    with transaction(engine) as connection:
        insert_all_types(connection, id=["1", "2"], whole=pd.Series([7, None], dtype=dtype))
        assert list(connection.scalars(sa.text("SELECT whole FROM trial.every_type ORDER BY id"))) == [7, None]


def test_insert_missing_stores_arrays_after_a_null(engine):
    with transaction(engine) as connection:
        insert_all_types(connection, id=["1", "2"], shares=[None, [0.5, np.nan]])
        none, shares = connection.scalars(sa.text("SELECT shares FROM trial.every_type ORDER BY id"))
    assert none is None
    assert shares[0] == 0.5
    assert np.isnan(shares[1])


def test_upsert_of_more_rows_than_a_chunk_writes_each_once(engine):
    frame = batch(0, {str(n): (float(n), "x" * 20) for n in range(20_001)})
    assert write(engine, frame) == UpsertCounts(new=20_001)
    with transaction(engine) as connection:
        query = sa.text("SELECT count(*), sum(score) FROM trial.note")
        assert tuple(connection.execute(query).one()) == (20_001, sum(range(20_001)))


def test_insert_missing_marks_new_rows_in_the_order_of_the_frame(engine):
    with transaction(engine) as connection:
        insert_all_types(connection, id=["b"], whole=[1])
        is_new = insert_all_types(connection, id=["c", "b", "a"], whole=[2, 2, 2], index=[10, 20, 30])
    assert is_new.to_dict() == {10: True, 20: False, 30: True}
    assert [row[:2] for row in written(engine, "trial.every_type")] == [("a", 2), ("b", 1), ("c", 2)]


def test_upsert_rejects_a_repeated_key_without_repeating_it(engine):
    frame = pd.concat([batch(0, {"00123": (1.0, "x")}), batch(0, {"00123": (2.0, "y")})])
    with pytest.raises(BadInput, match=r"1 rows for trial\.note repeat the key \(id\)") as error:
        write(engine, frame)
    assert "00123" not in str(error.value)


@pytest.mark.parametrize("column", ["id", "note", "batch_date"])
def test_upsert_rejects_a_frame_without_a_column(engine, column):
    with pytest.raises(KeyError, match=column):
        write(engine, batch(0, {"a": (1.0, "x")}).drop(columns=column))


def test_upsert_ignores_columns_that_the_table_does_not_have_and_keeps_defaults(engine):
    execute(engine, "ALTER TABLE trial.note ADD COLUMN at timestamptz NOT NULL DEFAULT now()")
    assert write(engine, batch(0, {"a": (1.0, "x")}).assign(row_key="x.csv:2")) == UpsertCounts(new=1)
    assert written(engine)[0][:3] == ("a", 1.0, "x")


def test_upsert_rejects_a_nul_character_and_names_the_table(engine):
    with pytest.raises(BadInput, match=r"trial\.note contains a NUL character"):
        write(engine, batch(0, {"a": (1.0, "x\0y")}))
    assert written(engine) == []


def test_upsert_rejects_a_value_of_another_type_without_repeating_it(engine):
    frame = batch(0, {"00123": (1.0, "x")}).astype({"score": object}).assign(score="4711 mm")
    with pytest.raises(BadInput, match=r"trial\.note: invalid_text_representation \(22P02\)") as error:
        write(engine, frame)
    assert "4711" not in "".join(traceback.format_exception(error.value))
