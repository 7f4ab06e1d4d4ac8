"""The arrows between the rooms, and what a cheap import may cost."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]

HEAVY = ("tensorflow", "keras", "openvino", "great_expectations", "pandas", "scipy", "matplotlib", "pyarrow")


def modules_after(statement: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, 'dags'); {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_arrows_point_down(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(cache_dir=None) == 0


@pytest.mark.parametrize(
    "statement", ["import scoring.cli", "import scoring.pipeline.nightly", "import scoring.clinical"]
)
def test_a_cheap_import_reaches_no_heavy_package(statement):
    assert modules_after(statement).isdisjoint(HEAVY)


def test_the_check_above_can_fail():
    assert "pandas" in modules_after("import pandas")
