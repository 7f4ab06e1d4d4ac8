"""Installations with a history: batches are scored once per test process, and every test gets a copy."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from scoring.settings import Settings
from tests.lib.models import write_other_model
from tests.lib.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

    from scoring.phantom.batches import BatchSummary

NewWarehouse = Callable[..., AbstractContextManager[Warehouse]]

BATCHES = tuple(date(2026, 11, 20) + timedelta(days=day) for day in range(3))
"""Dates of three synthetic batches."""

OTHER = "other-1"
"""A model with slightly different weights than the shipped one."""


@dataclass(frozen=True)
class Past:
    """An installation that serves as a template.

    Attributes:
        database: Name of its database.
        var_dir: Its folder, with the landing folder and the model store.
        batches: Its batches, scored or not.
    """

    database: str
    var_dir: Path
    batches: tuple["BatchSummary", ...]


@dataclass(frozen=True)
class History:
    """The copy of an installation for one test; `batches` are those of the template."""

    site: Settings
    warehouse: Warehouse
    batches: tuple["BatchSummary", ...]

    @cached_property
    def engine(self) -> sa.Engine:
        """The warehouse as the job's role."""
        return self.warehouse.engine()

    @cached_property
    def analyst(self) -> sa.Engine:
        """The warehouse as an analyst."""
        return self.warehouse.engine(self.warehouse.analyst_url)

    def n_images(self, n_batches: int | None = None) -> int:
        """Return the number of images of the first batches, by default of all."""
        return sum(batch.n_images for batch in self.batches[:n_batches])

    def folder(self, batch: int) -> Path:
        """Return the landing folder of a batch."""
        return Path(self.site.landing_url) / self.batches[batch].batch_date.isoformat()


def new_settings(var_dir: Path, warehouse: Warehouse, **values: object) -> Settings:
    """Return settings as the job's role. A network call pads its images to the batch size, so that is small."""
    url = warehouse.job_url
    return Settings(var_dir=var_dir, warehouse_url=url, code_revision="test", batch_size=10, _env_file=None, **values)


def write_batches(landing_url: str, batches: int = 3) -> tuple["BatchSummary", ...]:
    """Write synthetic batches of 5 patients: 8, 1 and 1 radiographs if there are three."""
    from scoring.phantom import batches as phantom

    return tuple(
        phantom.write_batches(landing_url, seed=4, first_batch=BATCHES[0], batches=batches, n_patients=5, years=2.5)
    )


def run_batch(site: Settings, batch: date) -> dict[str, Any]:
    from scoring.pipeline import nightly

    return nightly.run_batch(site, batch, triggered_by="tester")


@contextmanager
def make_past(new_warehouse: NewWarehouse, var_dir: Path, *, n_scored: int) -> Iterator[Past]:
    """Write three batches, score the first ones with the shipped model, and write another model to the store."""
    with new_warehouse() as warehouse:
        site = new_settings(var_dir, warehouse)
        batches = write_batches(site.landing_url)
        for batch in BATCHES[:n_scored]:
            run_batch(site, batch)
        write_other_model(site.model_store_url, OTHER)
        yield as_past(History(site, warehouse, batches))


def as_past(history: History) -> Past:
    """Return an installation as a template. Its connections are closed, because a database in use cannot be copied."""
    from scoring.warehouse import connect

    connect._engine.cache_clear()
    history.warehouse.close()
    return Past(history.warehouse.name, history.site.var_dir, history.batches)


@contextmanager
def copy_past(past: Past, new_warehouse: NewWarehouse, var_dir: Path) -> Iterator[History]:
    """Copy the database, the landing folder and the model store of an installation, but no report or run folder."""
    from scoring.warehouse import connect

    with new_warehouse(past.database) as warehouse:
        site = new_settings(var_dir, warehouse)
        for folder in ("landing", "models"):
            shutil.copytree(past.var_dir / folder, var_dir / folder)
        with warehouse.engine(warehouse.superuser_url).begin() as connection:
            connection.execute(
                sa.text("UPDATE imaging.joint_image SET uri = replace(uri, :then, :now)"),
                {"then": str(past.var_dir), "now": str(var_dir)},
            )
        yield History(site, warehouse, past.batches)
        # The connections must be closed before the database is dropped.
        connect._engine.cache_clear()


def promote(site: Settings, version: str = OTHER) -> str | None:
    from scoring.pipeline import models

    return models.promote(site, version=version, promoted_by="a steward", reason="better on the frozen set")


def rescore(site: Settings, *, accept_missing: bool = False) -> dict[str, Any]:
    from scoring.pipeline import rescoring

    return rescoring.rescore(site, accept_missing=accept_missing, triggered_by="tester")


def scalar(engine: sa.Engine, statement: str, **values: object) -> Any:
    """Return the first value of a query."""
    with engine.connect() as connection:
        return connection.scalar(sa.text(statement), values)


def frame(engine: sa.Engine, statement: str, **values: object) -> "pd.DataFrame":
    """Return the rows of a query."""
    import pandas as pd

    with engine.connect() as connection:
        return pd.read_sql_query(sa.text(statement), connection, params=values)


def values(history: History) -> dict[str, str]:
    """Return what `scoring status` prints about the champion, the promoted model and waiting images."""
    from scoring.commands import batches

    return batches._models(history.engine)


VIEWS = ("current_joint_prediction", "rau_by_visit", "rau_by_radiograph", "champion")


def shown(history: History) -> set[tuple[str, str]]:
    """Return the models that each view shows to the analyst; joints, visits and the champion must never disagree."""
    models = "SELECT DISTINCT model_version FROM analyst.{} WHERE model_version IS NOT NULL"
    return {(model, view) for view in VIEWS for model in frame(history.analyst, models.format(view))["model_version"]}


def everything_of(model: str) -> set[tuple[str, str]]:
    """Return the value of `shown` if every view shows this model."""
    return {(model, view) for view in VIEWS}
