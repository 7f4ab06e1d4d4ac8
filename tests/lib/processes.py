"""Runs test code in a process of its own, which cannot kill or hang the process of the tests."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_in_process(code, *arguments, timeout):
    """Run Python code in a new process and return the JSON of its last line on stdout.

    Args:
        code: The code; the process runs in the root of the project.
        *arguments: Its arguments.
        timeout: Seconds after which the process is killed, well below the time limit of a test.

    Raises:
        AssertionError: The process took too long, failed or crashed.
    """
    command = [sys.executable, "-c", code, *map(str, arguments)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"The process took longer than {timeout} s. Its output:\n{error.stderr}") from error
    assert done.returncode == 0, f"The process ended with status {done.returncode}. Its output:\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])
