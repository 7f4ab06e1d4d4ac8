"""No file of this project contains a password."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("sql", "scoring", "dags", "docker", "docs", "expectations", ".ci", ".github")
BINARY = {".npz", ".bin", ".pyc", ".jpg", ".png"}
SECRET = re.compile(
    r"""\w://[^\s/:@'"<>{}]+:[^\s/@'"<>{}]+@"""  # a URL with user and password
    r"""|\bPASSWORD\s+'[^']+'"""  # CREATE ROLE ... PASSWORD '...'
    r"""|(?i:\b\w*(?:password|passwd|secret|token)\w*\s*=\s*(?!\w+\()['"]?[\w!$%&*+.-]{4,})"""  # a setting
)
# Code that assigns an attribute or a constant to a variable of that name.
IN_CODE = re.compile(r"=\s*(?:\w+\.|None|False)")


def secrets(text: str) -> list[str]:
    return [found for found in (match[0] for match in SECRET.finditer(text)) if not IN_CODE.search(found)]


def test_no_file_contains_a_password():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".cff"} or path.name == "Makefile"]
    texts = [path for path in files if path.suffix not in BINARY]
    assert len(texts) > 100
    found = {path.relative_to(ROOT).as_posix(): secrets(path.read_text(encoding="utf-8")) for path in texts}
    assert {path: passwords for path, passwords in found.items() if passwords} == {}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://job:hunter2@db/warehouse",
        "ALTER ROLE jane PASSWORD 'hunter2'",
        "PGPASSWORD=hunter2",
        "token = 'abcd'",
    ],
)
def test_secrets_finds_passwords(text):
    assert secrets(text)
