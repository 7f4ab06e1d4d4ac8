"""The import rules, the packages that light modules must not load, and the size of files and functions."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.lib.processes import run_in_process

ROOT = Path(__file__).parents[2]
HEAVY = {"tensorflow", "keras", "openvino", "great_expectations", "pandas", "scipy", "matplotlib", "pyarrow"}
IMPORT = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"


def imported_by(module):
    return set(run_in_process(IMPORT, module, timeout=120))


def test_import_rules_are_kept(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(cache_dir=None) == 0


@pytest.mark.parametrize("module", ["scoring.cli", "scoring.pipeline.nightly", "scoring.clinical"])
def test_light_modules_import_neither_heavy_packages_nor_training_nor_phantom(module):
    imported = imported_by(module)
    assert imported.isdisjoint(HEAVY)
    assert not {name for name in imported if name.startswith(("scoring.training", "scoring.phantom"))}


def test_imported_by_finds_indirect_imports():
    assert {"pandas", "scoring.imaging.decode", "numpy"} <= imported_by("scoring.landing.staging")


def _lines(function):
    """Number of lines without the docstring."""
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


@pytest.mark.parametrize(
    "files",
    ["scoring/**/*.py", "dags/*.py", "expectations/*.py", "sql/**/*.py", "sql/**/*.sql", "docs/*.py", "tests/**/*.py"],
)
def test_files_have_fewer_than_400_lines_and_functions_fewer_than_60(files):
    found = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in ROOT.glob(files)}
    assert found
    assert [name for name, text in found.items() if text.count("\n") >= 400] == []
    functions = [
        (name, function)
        for name, text in found.items()
        if name.suffix == ".py"
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef)
    ]
    assert [(name, function.name) for name, function in functions if _lines(function) >= 60] == []
