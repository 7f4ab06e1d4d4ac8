"""The generated pages of the documentation match the code and the warehouse.

`make docs` runs this file with WRITE_DOCS=1: the pages are then written before they are compared.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from docs import generate
from docs.example_queries import example_queries
from scoring.report.dictionary import anchor, diagrams, dictionary
from scoring.warehouse import catalogue

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def check_page() -> Callable[[str, str], None]:
    """Compares a page with the committed one; writes it first if WRITE_DOCS is set."""

    def check(name: str, text: str) -> None:
        path = DOCS / name
        if os.environ.get("WRITE_DOCS"):
            path.write_text(text, encoding="utf-8")
        committed = path.read_text(encoding="utf-8") if path.exists() else ""
        assert text == committed, f"docs/{name} differs from the code. Run `make docs` and commit the result."

    return check


@pytest.fixture
def described(warehouse):
    with warehouse.engine().connect() as connection:
        yield catalogue.schema_comments(connection), catalogue.relations(connection)


@pytest.mark.parametrize("name", generate.pages())
def test_pages_from_code_are_current(name, check_page):
    check_page(name, generate.pages()[name]())


def test_dictionary_is_current(described, check_page):
    check_page("reference/dictionary.md", dictionary(*described))


def test_diagrams_are_current(described, check_page):
    check_page("reference/er.md", diagrams(described[1]))


def test_example_queries_are_current(synthetic_warehouse, described, check_page):
    anchors = {view.name: anchor(view) for view in described[1] if view.schema == "analyst"}
    engine = synthetic_warehouse.engine(synthetic_warehouse.analyst_url)
    with engine.connect() as connection:
        check_page("reference/queries.md", example_queries(connection, anchors))


def test_psql_shows_meaning_unit_and_definition_of_every_column(synthetic_warehouse):
    url = sa.engine.make_url(synthetic_warehouse.analyst_url)
    psql = [synthetic_warehouse.server.psql, "-h", url.query["host"], "-U", url.username, url.database]
    shown = subprocess.run([*psql, "-c", r"\d+ analyst.*"], capture_output=True, text=True, check=True).stdout
    assert "Expected Rau score, 0-190 points" in shown
    assert "FROM scoring.joint_prediction" in shown
    with synthetic_warehouse.engine().connect() as connection:
        for view in catalogue.relations(connection, ("analyst",)):
            assert f'"analyst.{view.name}"' in shown
            assert all(column.comment in shown for column in view.columns)


@pytest.mark.slow
def test_site_builds_without_a_warning_and_loads_nothing_from_other_servers(tmp_path):
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    doctrees = ["-d", str(tmp_path / "doctrees")]
    done = subprocess.run([*build, *doctrees, DOCS, tmp_path / "site"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]*src="(http[^"]*)|<link[^>]*href="(http[^"]*)', page.read_text()
        )
        assert not loaded, f"{page.name} loads {loaded}"
