"""Every SQL file keeps to the style of .sqlfluff and says what it is."""

import re
from pathlib import Path

import pytest
from sqlfluff.core import FluffConfig, Linter

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "sql").rglob("*.sql"))


@pytest.fixture(scope="module")
def linter() -> Linter:
    return Linter(config=FluffConfig.from_path(str(ROOT)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_style(linter, path):
    linted = linter.lint_string(path.read_text(), fname=str(path))
    assert [f"line {v.line_no}: {v.rule_code()} {v.desc()}" for v in linted.get_violations()] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_header(path):
    assert re.match(r"(-- -+\n)?-- Title: \S.*\n-- Description: \S", path.read_text())


def test_no_file_switches_a_rule_off():
    assert not [path for path in FILES if "noqa" in path.read_text()]
