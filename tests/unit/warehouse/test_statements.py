"""The statements of sql/statements, and their users."""

import re
from pathlib import Path

import pytest

from scoring.settings import sql_dir
from scoring.warehouse.statements import statement

NAMES = sorted(path.stem for path in (sql_dir() / "statements").glob("*.sql"))
CODE = "\n".join(path.read_text() for path in (Path(__file__).parents[3] / "scoring" / "warehouse").rglob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_statement_is_used_and_has_no_comment(name):
    # SQLAlchemy would take `:name` in a comment for a parameter.
    assert not re.search(r"^\s*--", statement(name).text, re.MULTILINE)
    assert f'statement("{name}")' in CODE


def test_statement_is_read_once():
    assert statement(NAMES[0]) is statement(NAMES[0])
