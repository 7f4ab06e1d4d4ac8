"""The embedded server: started twice, in deep folders, as root and as an ordinary user."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from scoring.errors import WarehouseUnavailable
from scoring.warehouse import embedded
from scoring.warehouse.engine import connect_engine, transaction


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder outside that of pytest, which the server's user may not enter."""
    made = Path(tempfile.mkdtemp(prefix="scoring-test-"))
    made.chmod(0o711)
    yield made
    embedded.stop(made)
    shutil.rmtree(made)


def ask(url: str, query: str) -> object:
    engine = connect_engine(url)
    try:
        with transaction(engine) as connection:
            return connection.scalar(sa.text(query))
    finally:
        engine.dispose()


def through_shell(line: str) -> str:
    return subprocess.run(["sh", "-c", line], check=True, capture_output=True, text=True).stdout


def test_start_finds_the_running_server(folder):
    first = embedded.start(folder)
    started = ask(first.superuser_url, "SELECT pg_postmaster_start_time()")
    second = embedded.start(folder, airflow=True)
    assert ask(second.superuser_url, "SELECT pg_postmaster_start_time()") == started
    assert second.job_url == first.job_url
    assert first.airflow_url is None
    assert ask(second.airflow_url, "SELECT current_user || ' ' || current_database()") == "airflow airflow"
    assert ask(first.job_url, "SELECT current_user::text") == "scoring_job"
    assert ask(first.analyst_url, "SELECT current_user::text") == "scoring_analyst"


@pytest.mark.slow
def test_stop_keeps_the_data(folder):
    server = embedded.start(folder)
    ask(server.owner_url, "SELECT set_config('x.y', '', false)")
    engine = connect_engine(server.owner_url)
    with transaction(engine) as connection:
        connection.execute(sa.text("CREATE SCHEMA kept"))
    engine.dispose()
    assert embedded.stop(folder) is True
    assert embedded.stop(folder) is False
    with pytest.raises(WarehouseUnavailable):
        ask(server.owner_url, "SELECT 1")
    assert ask(embedded.start(folder).owner_url, "SELECT to_regnamespace('kept') IS NOT NULL") is True


@pytest.mark.slow
def test_start_recovers_a_server_that_was_killed(folder):
    server = embedded.start(folder)
    pid = int((folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    assert ask(embedded.start(folder).job_url, "SELECT 1") == 1
    assert embedded.start(folder).job_url == server.job_url


@pytest.mark.slow
def test_start_opens_no_port_and_closes_the_socket_to_other_users(folder):
    server = embedded.start(folder)
    assert ask(server.superuser_url, "SHOW listen_addresses") == ""
    assert (folder / "postgres" / "socket").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_start_by_several_tasks_at_once_returns_the_same_server(folder):
    servers: list[embedded.EmbeddedServer] = []
    threads = [threading.Thread(target=lambda: servers.append(embedded.start(folder))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(servers)) == 1
    assert len(servers) == 3


@pytest.mark.slow
def test_start_in_a_deep_folder_uses_a_short_socket_folder(folder):
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    try:
        server = embedded.start(deep)
        assert ask(server.job_url, "SELECT 1") == 1
        assert str(deep) not in server.job_url
        assert str(deep) not in server.psql_command
        short = Path((deep / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[4])
    finally:
        embedded.stop(deep)
    assert not short.exists()


@pytest.mark.slow
def test_psql_command_connects_as_the_analyst(folder):
    server = embedded.start(folder)
    assert through_shell(f"{server.psql_command} -Atc 'SELECT current_user'") == "scoring_analyst\n"


@pytest.mark.slow
def test_start_in_a_folder_with_blanks_and_quotes(folder):
    odd = folder / "it's a folder"
    odd.mkdir()
    try:
        server = embedded.start(odd)
        assert ask(server.job_url, "SELECT 1") == 1
        assert through_shell(f"{server.psql_command} -Atc 'SELECT 1'") == "1\n"
    finally:
        embedded.stop(odd)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_start_as_an_ordinary_user(folder):
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # The interpreter may be in root's home, so imports come before the change of user.
    script = (
        "import os, sys; from pathlib import Path\n"
        "import sqlalchemy.dialects.postgresql.psycopg2\n"
        "from scoring.warehouse import embedded, engine\n"
        "os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))\n"
        "server = embedded.start(Path(sys.argv[3]))\n"
        "with engine.transaction(engine.connect_engine(server.job_url)) as connection:\n"
        "    print(connection.exec_driver_sql('SELECT current_user').scalar())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(nobody.pw_uid), str(nobody.pw_gid), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "scoring_job\n", ran.stderr
    assert (folder / "postgres" / "data").stat().st_uid == nobody.pw_uid
