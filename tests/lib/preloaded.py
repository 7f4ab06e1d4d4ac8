"""A `scoring` command that starts in milliseconds.

A server process loads the packages once and forks for each call. The client passes arguments, folder, environment and
open files, so the command behaves as if it had been started directly.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

# Loaded before the first call; TensorFlow and OpenVINO start threads and are loaded by the calls that need them.
PACKAGES = (
    "scoring.cli",
    "scoring.analysis.association",
    "scoring.analysis.progression",
    "scoring.landing.staging",
    "scoring.report.nightly",
    "scoring.report.nightly_figures",
    "scoring.validation.batch",
    "scoring.validation.docs",
    "scoring.warehouse.migrate",
)

CLIENT = """#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    exit_code = server.recv(1)
sys.exit(exit_code[0] if exit_code else "the command was killed")
"""


@contextmanager
def preloaded_command(folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """Start the server; yields the folder with the executable `scoring`, to be put first on the PATH."""
    address = folder / "socket"
    client = folder / "bin" / "scoring"
    client.parent.mkdir(parents=True)
    client.write_text(CLIENT.format(python=sys.executable, address=str(address)), encoding="utf-8")
    client.chmod(0o755)
    command = [sys.executable, "-m", "tests.lib.preloaded", str(address)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as server:
        assert server.stdout
        try:
            assert server.stdout.readline() == b"ready\n", "the server for `scoring` did not start"
            yield client.parent
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Serve calls until terminated."""
    for package in PACKAGES:
        import_module(package)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    _call(connection)


def _call(connection: socket.socket) -> None:
    """Run one call in a forked process, which then ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    header, files, _, _ = socket.recv_fds(connection, 8, 3)
    request = connection.recv(int.from_bytes(header, "big"), socket.MSG_WAITALL)
    arguments, folder, environment = json.loads(request)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    exit_code = _run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([exit_code]))
    os._exit(0)


def _run(arguments: list[str]) -> int:
    import traceback

    from scoring.cli import main

    try:
        main(arguments, prog_name="scoring")
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
