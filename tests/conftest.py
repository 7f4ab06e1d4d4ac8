"""Fixtures that several categories of tests share."""

import io
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from scoring.warehouse.embedded import EmbeddedServer

# Examples that hit a database take as long as it takes; the same examples every time, so that a failure is a change.
settings.register_profile(
    "scoring", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("scoring")


@dataclass
class Warehouse:
    """A migrated, empty warehouse of one test, and who may open it."""

    name: str
    server: "EmbeddedServer"
    _closing: ExitStack = field(default_factory=ExitStack)

    def _url(self, url: str) -> str:
        from sqlalchemy.engine import make_url

        return make_url(url).set(database=self.name).render_as_string()

    @property
    def superuser_url(self) -> str:
        return self._url(self.server.superuser_url)

    @property
    def owner_url(self) -> str:
        return self._url(self.server.owner_url)

    @property
    def job_url(self) -> str:
        return self._url(self.server.job_url)

    @property
    def analyst_url(self) -> str:
        return self._url(self.server.analyst_url)

    def engine(self, url: str | None = None) -> "Engine":
        """An engine, the job's unless said otherwise, which is disposed of when the test ends."""
        from scoring.warehouse.engine import connect_engine

        engine = connect_engine(url or self.job_url)
        self._closing.callback(engine.dispose)
        return engine

    def close(self) -> None:
        self._closing.close()


def _administer(server: "EmbeddedServer", *statements: str) -> None:
    from sqlalchemy.engine import make_url

    from scoring.warehouse.engine import connect_engine

    url = make_url(server.superuser_url).set(database="postgres").render_as_string()
    engine = connect_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator["EmbeddedServer"]:
    """A PostgreSQL server for this process's tests, with a migrated database `scoring` that serves as template."""
    from scoring.warehouse import embedded
    from scoring.warehouse.migrate import migrate

    # Not below pytest's own temporary folder: pytest keeps that one closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="scoring-test-"))
    folder.chmod(0o711)
    try:
        server = embedded.start(folder)
        # What a power cut would lose is of no interest here.
        _administer(
            server, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()"
        )
        migrate(server.owner_url)
        yield server
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _warehouse_names() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture(scope="session")
def new_warehouse(
    postgres: "EmbeddedServer", _warehouse_names: Iterator[int]
) -> Callable[..., AbstractContextManager[Warehouse]]:
    """Make a warehouse from a template, by default the migrated and empty one; it is dropped when the block ends.

    Connections to the template are cut, because PostgreSQL copies no database that somebody uses.
    """

    @contextmanager
    def make(template: str = "scoring") -> Iterator[Warehouse]:
        from scoring.settings import sql_dir
        from scoring.warehouse.engine import transaction
        from scoring.warehouse.migrate import run_script

        name = f"test_{next(_warehouse_names)}"
        _administer(
            postgres,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'",  # noqa: S608
            f"CREATE DATABASE {name} TEMPLATE {template} OWNER scoring_owner",
        )
        made = Warehouse(name, postgres)
        # A template hands on tables, but not the settings of roles, which belong to the database's name.
        with transaction(made.engine(made.superuser_url)) as connection:
            run_script(connection, sql_dir() / "migrations" / "0000_roles.sql")
        yield made
        made.close()
        _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")

    return make


@pytest.fixture
def warehouse(new_warehouse: Callable[..., AbstractContextManager[Warehouse]]) -> Iterator[Warehouse]:
    """A fresh warehouse: migrated, with roles, views and grants, and not a row in it."""
    with new_warehouse() as made:
        yield made


@pytest.fixture(scope="session")
def fill_warehouse() -> Callable[[Warehouse, int], None]:
    """Fill an empty warehouse with about so many joint predictions and all that belongs to them, made up by SQL.

    What it means and in which proportions is said in `tests/benchmarks/synthetic_warehouse.sql`.
    """
    import sqlalchemy as sa

    from scoring.warehouse.engine import transaction
    from scoring.warehouse.migrate import run_script
    from scoring.warehouse.publish.model_comparison import publish_model_comparison

    def fill(warehouse: Warehouse, n: int) -> None:
        superuser = warehouse.engine(warehouse.superuser_url)
        with transaction(superuser) as connection:
            connection.execute(sa.text("SELECT set_config('scoring.n_predictions', :n, true)"), {"n": str(n)})
            run_script(connection, Path(__file__).parent / "benchmarks" / "synthetic_warehouse.sql")
        # As after years of nights: row versions are settled, and the planner knows the tables.
        with superuser.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
        with transaction(warehouse.engine()) as connection:
            publish_model_comparison(connection, "former-1", "champion-1", None)

    return fill


@pytest.fixture
def write_other_model() -> Callable[..., str]:
    """Write the shipped model under another name with slightly other weights, so that every score moves a little."""
    from scoring.model_store.store import SHIPPED_VERSION, find_model, write_model
    from scoring.model_store.stored_model import GRAPH_WEIGHTS, WEIGHTS
    from scoring.networks.weights import to_npz

    def write(store_url: str, version: str = "other-1", shift: float = -0.3) -> str:
        shipped = find_model(SHIPPED_VERSION, store_url)
        weights = dict(np.load(io.BytesIO(shipped.files[WEIGHTS])))
        # An intact joint becomes less probable, or more; adding as much to all readings would change none.
        bias = weights["grid/bias"].astype(np.float32)
        moved = bias + np.float32(shift) * (np.arange(len(bias)) == 0)
        weights["grid/bias"] = moved.astype(np.float16)
        graph = shipped.files[GRAPH_WEIGHTS]
        assert graph.count(bias.tobytes()) == 1
        files = {
            **shipped.files,
            WEIGHTS: to_npz(weights),
            GRAPH_WEIGHTS: graph.replace(bias.tobytes(), moved.astype(np.float32).tobytes()),
        }
        write_model(store_url, {**shipped.manifest, "version": version}, files)
        return version

    return write


@pytest.fixture(scope="session")
def write_plain_nights() -> Callable[..., object]:
    """`write_batches` with five joints a radiograph and an erosion that anybody can see: a bright bar as high as it is large.

    All grades are as frequent, and read as they are. The phantoms' own joints take a large network minutes to learn;
    these take a tiny one seconds.
    """
    import numpy as np
    from simplejpeg import encode_jpeg

    from scoring.phantom import batches
    from scoring.phantom.registry import JOINT_COLUMNS, simulate_registry
    from scoring.phantom.seeds import stream

    def registry(n_patients, seed, first_visit, years, difficulty):
        made = simulate_registry(n_patients, seed, first_visit, years, difficulty)
        n_radiographs = len(made.consultations)
        percent = stream(seed, "plain").choice([0.0, 10.0, 30.0, 50.0, 70.0, 90.0], (n_radiographs, len(JOINT_COLUMNS)))
        percent[:, 5:] = np.nan
        made.consultations[list(JOINT_COLUMNS)] = percent
        made.consultations["rau_score"] = np.nan
        made.joints["erosion_true"] = made.joints["erosion_read"] = percent.ravel()
        return replace(made, joints=made.joints.dropna(subset=["erosion_read"]))

    def bar(seed, patient_id, sop_iuid, joint, erosion, **_):
        pixels = stream(seed, "bar", sop_iuid, joint).integers(0, 60, (64, 64, 1)).astype(np.uint8)
        pixels[: round(erosion * 0.64)] += 150
        return encode_jpeg(pixels, quality=90, colorspace="GRAY")

    def write(landing_url, **options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(batches, "simulate_registry", registry)
            patch.setattr(batches, "joint_jpeg", bar)
            return batches.write_batches(landing_url, **options)

    return write
