"""The import rules, and the packages that light modules must not load."""

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
