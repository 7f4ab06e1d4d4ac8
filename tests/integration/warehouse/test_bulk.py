"""Bulk writes against a real PostgreSQL: exact text, exact counts, and no dependence on the order of nights."""

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

KEY = ("id",)
PAYLOAD = ("score", "note")
PROVENANCE = ("batch_date", "first_batch_date", "source_file")
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
    with transaction(warehouse.engine(warehouse.superuser_url)) as connection:
        connection.execute(sa.text("CREATE SCHEMA trial AUTHORIZATION scoring_job"))
    engine = warehouse.engine()
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE trial.note (id text PRIMARY KEY, score double precision, note text,"
                " batch_date date, first_batch_date date, source_file text)"
            )
        )
        connection.execute(sa.text("CREATE TABLE trial.every_type (" + EVERY_TYPE + ")"))
    return engine


def written(engine: Engine, table: str = "trial.note") -> list[tuple]:
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY id"))]  # noqa: S608 - names of this module


def emptied(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(sa.text("TRUNCATE trial.note, trial.every_type"))


def night(day: int, rows: dict[str, tuple[float | None, str | None]]) -> pd.DataFrame:
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
            for name, (score, note) in rows.items()
        ],
        columns=["id", "score", "note", "batch_date", "first_batch_date", "source_file"],
    )


def write(engine: Engine, frame: pd.DataFrame, *, newer_wins: bool = True) -> UpsertCounts:
    with transaction(engine) as connection:
        return upsert(
            connection, "trial.note", frame, key=KEY, payload=PAYLOAD, provenance=PROVENANCE, newer_wins=newer_wins
        )


NIGHT = st.dictionaries(
    st.sampled_from("abcde"), st.tuples(st.none() | st.floats(0, 1) | st.just(3.0), st.none() | TEXT), max_size=5
)


@settings(max_examples=30)
@given(first=NIGHT, second=NIGHT)
def test_counts_add_up_and_say_what_happened(engine, first, second):
    emptied(engine)
    assert write(engine, night(0, first)) == UpsertCounts(new=len(first))
    counts = write(engine, night(1, second))
    assert sum(astuple(counts)) == len(second)
    assert counts.new == len(second.keys() - first.keys())
    assert counts.unchanged == sum(name in first and first[name] == row for name, row in second.items())
    assert counts.superseded == 0
    kept = {name: row for name, *row in ((r[0], r[1], r[2]) for r in written(engine))}
    assert kept == {name: list(row) for name, row in (first | second).items()}


@settings(max_examples=20)
@given(rows=NIGHT)
def test_the_same_rows_again_write_nothing(engine, rows):
    emptied(engine)
    write(engine, night(0, rows))
    with transaction(engine) as connection:
        query = sa.text("SELECT id, xmin::text, ctid::text FROM trial.note ORDER BY id")
        before = connection.execute(query).all()
    assert write(engine, night(0, rows)) == UpsertCounts(unchanged=len(rows))
    with transaction(engine) as connection:
        assert connection.execute(query).all() == before


@settings(max_examples=20)
@given(nights=st.lists(NIGHT, min_size=3, max_size=3), order=st.permutations(range(3)))
def test_the_order_of_nights_does_not_matter(engine, nights, order):
    def state(days: Iterable[int]) -> list[tuple]:
        emptied(engine)
        for day in days:
            counts = write(engine, night(day, nights[day]))
            assert sum(astuple(counts)) == len(nights[day])
        return written(engine)

    assert state(order) == state(range(3))


def test_a_night_between_two_equal_ones_is_no_news(engine):
    same = {"a": (1.0, "x")}
    results = []
    for order in itertools.permutations(range(3)):
        emptied(engine)
        for day in order:
            write(engine, night(day, same if day != 1 else {"a": (2.0, "y")}))
        results.append(written(engine))
    day = date(2026, 11, 1)
    assert results == [[("a", 1.0, "x", day + timedelta(days=2), day, "2026-11-03/x.csv")]] * 6


def test_an_older_night_is_superseded_but_known_to_be_first(engine):
    write(engine, night(5, {"a": (1.0, "new")}))
    assert write(engine, night(2, {"a": (2.0, "old"), "b": (0.0, None)})) == UpsertCounts(new=1, superseded=1)
    first, second = written(engine)
    assert first == ("a", 1.0, "new", date(2026, 11, 6), date(2026, 11, 3), "2026-11-06/x.csv")
    assert second[3:5] == (date(2026, 11, 3), date(2026, 11, 3))


def test_without_newer_wins_the_last_writer_wins(engine):
    write(engine, night(5, {"a": (1.0, "x")}), newer_wins=False)
    assert write(engine, night(2, {"a": (2.0, "y")}), newer_wins=False) == UpsertCounts(updated=1)
    day = date(2026, 11, 1)
    assert written(engine)[0][1:5] == (2.0, "y", day + timedelta(days=2), day + timedelta(days=2))
    write(engine, night(7, {"a": (3.0, "z")}), newer_wins=False)
    assert written(engine)[0][1:5] == (3.0, "z", day + timedelta(days=7), day + timedelta(days=2))


@settings(max_examples=60)
@given(st.lists(TEXT, min_size=1, max_size=8, unique=True))
def test_any_text_arrives_as_it_was_sent(engine, texts):
    emptied(engine)
    frame = pd.DataFrame({"id": texts})
    with transaction(engine) as connection:
        insert_missing(connection, "trial.every_type", frame, key=KEY)
        arrived = set(connection.scalars(sa.text("SELECT id FROM trial.every_type")))
    assert arrived == set(texts)


def test_every_type_arrives_with_its_nulls(engine):
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
        insert_missing(connection, "trial.every_type", frame, key=KEY)
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
def test_whole_numbers_may_be_missing(engine, dtype):
    frame = pd.DataFrame({"id": ["1", "2"], "whole": pd.Series([7, None], dtype=dtype)})
    with transaction(engine) as connection:
        insert_missing(connection, "trial.every_type", frame, key=KEY)
        assert list(connection.scalars(sa.text("SELECT whole FROM trial.every_type ORDER BY id"))) == [7, None]


def test_an_array_may_be_missing_in_the_first_row(engine):
    frame = pd.DataFrame({"id": ["1", "2"], "shares": [None, [0.5, np.nan]]})
    with transaction(engine) as connection:
        insert_missing(connection, "trial.every_type", frame, key=KEY)
        none, shares = connection.scalars(sa.text("SELECT shares FROM trial.every_type ORDER BY id"))
    assert none is None
    assert shares[0] == 0.5
    assert np.isnan(shares[1])


def test_more_rows_than_a_chunk_arrive_once_each(engine):
    frame = night(0, {str(n): (float(n), "x" * 20) for n in range(20_001)})
    assert write(engine, frame) == UpsertCounts(new=20_001)
    with transaction(engine) as connection:
        query = sa.text("SELECT count(*), sum(score) FROM trial.note")
        assert tuple(connection.execute(query).one()) == (20_001, sum(range(20_001)))


def test_missing_rows_are_told_apart_in_the_order_of_the_frame(engine):
    with transaction(engine) as connection:
        insert_missing(connection, "trial.every_type", pd.DataFrame({"id": ["b"], "whole": [1]}), key=KEY)
        frame = pd.DataFrame({"id": ["c", "b", "a"], "whole": [2, 2, 2]}, index=[10, 20, 30])
        is_new = insert_missing(connection, "trial.every_type", frame, key=KEY)
    assert is_new.to_dict() == {10: True, 20: False, 30: True}
    assert [row[:2] for row in written(engine, "trial.every_type")] == [("a", 2), ("b", 1), ("c", 2)]


def test_a_repeated_key_is_refused_without_naming_it(engine):
    frame = pd.concat([night(0, {"00123": (1.0, "x")}), night(0, {"00123": (2.0, "y")})])
    with pytest.raises(BadInput, match=r"1 rows for trial\.note repeat the key \(id\)") as refused:
        write(engine, frame)
    assert "00123" not in str(refused.value)


def test_a_nul_character_is_refused_with_its_table(engine):
    with pytest.raises(BadInput, match=r"trial\.note holds a NUL character"):
        write(engine, night(0, {"a": (1.0, "x\0y")}))
    assert written(engine) == []


def test_a_value_that_its_column_cannot_hold_is_refused_without_repeating_it(engine):
    frame = night(0, {"00123": (1.0, "x")}).astype({"score": object}).assign(score="4711 mm")
    with pytest.raises(BadInput, match=r"trial\.note: invalid_text_representation \(22P02\)") as refused:
        write(engine, frame)
    assert "4711" not in "".join(traceback.format_exception(refused.value))
