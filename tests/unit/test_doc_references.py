"""Names in the documentation exist: files, settings, views, commands and their options."""

import re
from pathlib import Path

import pytest

from scoring import errors
from scoring.cli import main
from scoring.phantom.faults import FAULTS
from scoring.settings import Settings

ROOT = Path(__file__).parents[2]
# Generated from a warehouse; queries.md and the dictionary name columns as well.
GENERATED = ("dictionary.md", "er.md", "queries.md")
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("dags/*.md"))
    if path.name not in GENERATED
]
ENVIRONMENT_ONLY = {"SCORING_ENV_FILE"}
# Columns, functions and tables of other schemas follow the dictionary; these are the objects that pages name.
VIEWS = {re.sub(r"^\d+_", "", path.stem) for path in (ROOT / "sql" / "views").glob("*.sql")}


@pytest.fixture(params=PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def text(request):
    return request.param.read_text(encoding="utf-8")


def test_pages_name_existing_files(text):
    named = re.findall(r"`((?:scoring|sql|dags|docs|expectations|tests|docker)/[\w./-]*)`", text)
    # A name with NNN or an upper-case placeholder describes a pattern.
    missing = [name for name in named if not re.search("NNN|[A-Z]{4}", name) and not (ROOT / name).exists()]
    assert not missing


def test_pages_name_existing_example_queries(text):
    named = re.findall(r"`(\w+\.sql)`", text)
    assert set(named) <= {path.name for path in (ROOT / "sql" / "queries").glob("*.sql")}


def test_pages_name_existing_settings(text):
    known = {f"SCORING_{name.upper()}" for name in Settings.model_fields} | ENVIRONMENT_ONLY
    named = re.findall(r"\bSCORING_[A-Z_]*[A-Z]\b(?!_?\.\.\.|_?\*)", text)
    assert set(named) <= known


def test_pages_name_existing_views(text):
    assert set(re.findall(r"\banalyst\.(\w+)\b(?!\*)", text)) <= VIEWS


def test_pages_name_existing_commands_and_options(text):
    for command, arguments in re.findall(r"\bscoring ([a-z][a-z-]+)((?: +[^`\n|;&>]*)?)", _code(text)):
        if command not in main.commands:
            pytest.fail(f"`scoring {command}` does not exist")
        options = {option for parameter in main.commands[command].params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", arguments)) <= options | {"--help"}, command


def test_recover_from_failure_lists_every_error():
    text = (ROOT / "docs" / "how-to" / "recover_from_failure.md").read_text(encoding="utf-8")
    listed = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", text, flags=re.MULTILINE)}
    assert listed == {error.__name__: error.exit_code for error in errors.ScoringError.__subclasses__()}


def test_phantoms_lists_every_fault():
    text = (ROOT / "docs" / "explanation" / "phantoms.md").read_text(encoding="utf-8").partition("## Faults")[2]
    cells = re.findall(r"^\| (`.*?`) \|", text, flags=re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(FAULTS)


def _code(text: str) -> str:
    """Return code blocks of shells, and inline code."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    without_blocks = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`(scoring [^`]+)`", without_blocks)]).replace("\\\n", " ")
