"""The generated documents are what the warehouse of this code is, and what its worked queries answer.

`make docs` runs this file with WRITE_DOCS=1: the documents are then written instead of compared.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from scoring.report.dictionary import anchor, diagrams, dictionary
from scoring.settings import sql_dir
from scoring.warehouse import catalogue

DOCS = Path(__file__).parents[2] / "docs"
QUERIES = sorted((sql_dir() / "queries").glob("*.sql"))
# The day after the last night of the synthetic warehouse.
TODAY = "2026-11-23"
SHOWN_ROWS = 10
UUID, TIMESTAMPTZ = 2950, 1184

INTRODUCTION = f"""<!-- Made by `make docs`: do not edit. -->

# Worked queries

Every file of [sql/queries](../sql/queries/), and what it answers on a small **synthetic** warehouse: 40 patients, two
nights, and a change of the champion. Its two models are no networks, whose last digits depend on the processor, but
look at the synthetic truth; their scores say nothing about patients. At most {SHOWN_ROWS} rows of an answer are shown,
numbers to three decimals; ids of runs and times of the clock, which differ from run to run, as "…". `current_date` was
{TODAY}. What a view's columns mean stands in the [dictionary](dictionary.md).
"""


@pytest.fixture
def current() -> Callable[[str, str], None]:
    """Compare a document with the committed one, or write it."""

    def check(name: str, text: str) -> None:
        if os.environ.get("WRITE_DOCS"):
            (DOCS / name).write_text(text, encoding="utf-8")
        committed = (DOCS / name).read_text(encoding="utf-8") if (DOCS / name).exists() else ""
        assert text == committed, f"docs/{name} is not what this code makes: run `make docs` and commit it"

    return check


@pytest.fixture
def described(warehouse):
    with warehouse.engine().connect() as connection:
        yield catalogue.schema_comments(connection), catalogue.relations(connection)


def test_the_data_dictionary_is_current(described, current):
    current("dictionary.md", dictionary(*described))


def test_the_diagrams_are_current(described, current):
    current("er.md", diagrams(described[1]))


def test_the_worked_queries_are_current(synthetic_warehouse, described, current):
    views = {view.name: anchor(view) for view in described[1] if view.schema == "analyst"}
    engine = synthetic_warehouse.engine(synthetic_warehouse.analyst_url)
    with engine.connect() as connection:
        sections = [section(path, connection, views) for path in QUERIES]
    current("queries.md", "\n".join([INTRODUCTION, *sections]))


def section(path: Path, connection: sa.Connection, views: dict[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    header = re.match(r"(-- .*\n)+", text).group()
    title, description = re.fullmatch(
        r"Title: (.*?) Description: (.*)", header.replace("\n-- ", " ")[3:].strip()
    ).groups()
    used = dict.fromkeys(re.findall(r"\banalyst\.(\w+)", text))
    links = ", ".join(f"[analyst.{name}](dictionary.md#{views[name]})" for name in used if name in views)
    return "\n".join(
        [
            f"## {title}\n",
            f"{description}\n",
            f"[sql/queries/{path.name}](../sql/queries/{path.name}) on {links}\n",
            "```sql",
            text.removeprefix(header).strip(),
            "```\n",
            *answer(connection, text.replace("current_date", f"date '{TODAY}'")),
            "",
        ]
    )


def answer(connection: sa.Connection, query: str) -> Iterator[str]:
    cursor = connection.connection.driver_connection.cursor()
    cursor.execute(query)
    rows = cursor.fetchall()
    assert rows, "a worked query that shows nothing teaches nothing"
    yield f"| {' | '.join(column.name for column in cursor.description)} |"
    yield "|" + " --- |" * len(cursor.description)
    for row in rows[:SHOWN_ROWS]:
        yield f"| {' | '.join(map(shown, row, cursor.description))} |"
    yield ""
    yield f"{SHOWN_ROWS} of {len(rows)} rows" if len(rows) > SHOWN_ROWS else f"{len(rows)} row{'s'[: len(rows) - 1]}"


def shown(value: object, column) -> str:
    if value is None:
        return ""
    if column.type_code in {UUID, TIMESTAMPTZ}:
        return "…"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{round(value, 3) + 0.0:g}"
    return " ".join(re.sub(r"([|*<])", r"\\\1", str(value)).split())


def test_psql_shows_meaning_unit_and_source_of_every_column(synthetic_warehouse):
    url = sa.engine.make_url(synthetic_warehouse.analyst_url)
    shown = subprocess.run(
        [
            synthetic_warehouse.server.psql,
            "-h",
            url.query["host"],
            "-U",
            url.username,
            url.database,
            "-c",
            r"\d+ analyst.*",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Expected Rau score, 0-190 points" in shown
    assert "FROM scoring.joint_prediction" in shown
    with synthetic_warehouse.engine().connect() as connection:
        for view in catalogue.relations(connection, ("analyst",)):
            assert f'"analyst.{view.name}"' in shown
            assert all(column.comment in shown for column in view.columns)
