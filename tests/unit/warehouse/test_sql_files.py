"""Every SQL file has a header, passes all rules of `make lint`, and repeats no comment that is defined once."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "sql").rglob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sql_file_has_a_title_and_a_description(path):
    assert re.match(r"(-- -+\n)?-- Title: \S.*\n-- Description: \S", path.read_text())


def test_sql_files_switch_no_rule_off():
    assert not [path for path in FILES if "noqa" in path.read_text()]


def test_views_do_not_repeat_a_shared_comment():
    shared = dict(re.findall(r"\('(\w+)', '(.+)'\)", (ROOT / "sql/comments/010_columns_of_views.sql").read_text()))
    tables = (ROOT / "sql/migrations/baseline/060_analytics.sql").read_text()
    inherited = {
        (table, column): comment
        for table, column, comment in re.findall(r"COMMENT ON COLUMN analytics\.(\w+)\.(\w+) IS '(.+)';", tables)
    }
    own = [
        found
        for path in (ROOT / "sql/views").glob("*.sql")
        for found in re.findall(r"COMMENT ON COLUMN analyst\.(\w+)\.(\w+) IS '(.+)';", path.read_text())
    ]
    assert len(shared) > 40
    assert [
        f"{view}.{column}"
        for view, column, comment in own
        if comment == inherited.get((view, column), shared.get(column))
    ] == []
