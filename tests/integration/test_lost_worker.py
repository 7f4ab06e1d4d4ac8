"""A test process that dies ends the run with the name of its test; the run neither hangs nor passes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import os

def test_that_kills_its_process():
    os._exit(1)

def test_after_it():
    pass
"""


def test_make_test_ends_with_the_name_of_the_test_that_killed_its_process(tmp_path):
    (parallel,) = re.findall(r"^PARALLEL := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (tmp_path / "test_lost.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *shlex.split(parallel)]
    done = subprocess.run([*command, tmp_path / "test_lost.py"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode not in {0, 5}
    assert re.search(r"crashed while running '.*test_lost\.py::test_that_kills_its_process'", done.stdout)
