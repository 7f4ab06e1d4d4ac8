"""No password stands in any file of this project."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("sql", "scoring", "dags", "docker", "docs", "expectations", ".ci")
SECRET = re.compile(
    r"""\w://[^\s/:@'"<>{}]+:[^\s/@'"<>{}]+@"""  # a URL with user and password
    r"""|\bPASSWORD\s+'[^']+'"""  # CREATE ROLE ... PASSWORD '...'
    r"""|(?i:\b\w*(?:password|passwd|secret|token)\w*\s*=\s*['"]?[\w!$%&*+.-]{4,})"""  # a setting
)
# Code that names a variable for it, or reads it from somewhere.
IN_CODE = re.compile(r"=\s*(?:\w+\.|\w+\(|None|False)")


def secrets(text: str) -> list[str]:
    return [found for found in (match[0] for match in SECRET.finditer(text)) if not IN_CODE.search(found)]


def test_no_file_holds_a_password():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml"} or path.name == "Makefile"]
    texts = [path for path in files if path.suffix not in {".npz", ".bin", ".pyc", ".jpg", ".png"}]
    assert len(texts) > 100
    held = {path.relative_to(ROOT).as_posix(): secrets(path.read_text(encoding="utf-8")) for path in texts}
    assert {path: found for path, found in held.items() if found} == {}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://job:hunter2@db/warehouse",
        "ALTER ROLE jane PASSWORD 'hunter2'",
        "PGPASSWORD=hunter2",
        "token = 'abcd'",
    ],
)
def test_a_password_would_be_found(text):
    assert secrets(text)
