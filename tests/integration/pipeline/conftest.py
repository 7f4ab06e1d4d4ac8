"""An installation whose readings a tiny network can learn."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from scoring.pipeline import models, nightly, retraining
from scoring.settings import Settings
from scoring.training import export_model, recipes
from tests.lib.bars import write_bar_batches
from tests.lib.retraining import (
    ARGUMENTS,
    BATCH_DATE,
    KNOWN,
    forget_connections,
    open_run,
    settings_of,
    store_model,
)


@pytest.fixture(autouse=True)
def tiny_recipes(monkeypatch):
    """Recipes that take seconds: one that learns, and one that learns nothing."""
    monkeypatch.setattr(recipes, "RECIPES", KNOWN)


@pytest.fixture(scope="session")
def untrained_files():
    """The files of a network with random weights."""
    import keras

    from scoring.networks.architecture import build

    keras.utils.set_random_seed(1)
    return export_model.model_files(build("erosion_cdf_network", dict(ARGUMENTS)))


@dataclass(frozen=True)
class Built:
    """An installation before each test: its folder, a copy of it, and its warehouse."""

    folder: Path
    pristine: Path
    warehouse: str


@pytest.fixture(scope="session")
def built(new_warehouse, untrained_files, tmp_path_factory) -> Iterator[Built]:
    """An installation with two batches of 114 patients, an untrained champion, and two candidates in its store.

    Candidates are named after recipe, data and code, so a retraining finds them and does not train them again.
    """
    folder = tmp_path_factory.mktemp("site") / "var"
    with new_warehouse("scoring") as warehouse:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recipes, "RECIPES", KNOWN)
            _build(settings_of(folder, warehouse), untrained_files, warehouse, new_warehouse)
        yield Built(folder, Path(shutil.copytree(folder, folder.with_name("pristine"))), warehouse.name)


def _build(site, untrained_files, warehouse, new_warehouse):
    store_model(site, "untrained-1", untrained_files)
    models.promote(site, version="untrained-1", promoted_by="tester", reason="the first")
    write_bar_batches(site.landing_url, seed=3, first_batch=BATCH_DATE, batches=2, n_patients=120, years=0.5)
    for batch_date in (BATCH_DATE, BATCH_DATE + timedelta(days=1)):
        nightly.run_batch(site, batch_date, triggered_by="tester")
    with new_warehouse(warehouse.name) as practice:
        trained = settings_of(site.var_dir, practice)
        run = open_run(trained)
        taken = retraining.snapshot(trained, run)
        for name in ("tiny", "lazy"):
            retraining.train(trained, run, taken, name)
        forget_connections()


@pytest.fixture
def warehouse(built, new_warehouse):
    with new_warehouse(built.warehouse) as made:
        yield made


@pytest.fixture
def site(built, warehouse) -> Iterator[Settings]:
    """The installation as it was built, in the same folder, because the warehouse has the paths of its images."""
    shutil.rmtree(built.folder)
    shutil.copytree(built.pristine, built.folder)
    yield settings_of(built.folder, warehouse)
    forget_connections()


@pytest.fixture
def site_without_candidates(site):
    for version in Path(site.model_store_url).glob("*-2026-*"):
        shutil.rmtree(version)
    return site
