"""Small recipes, and retrainings with them on a site's own warehouse."""

from dataclasses import replace
from datetime import date

import sqlalchemy as sa

from scoring.imaging.preprocess import PREPROCESSING_VERSION
from scoring.model_store import store
from scoring.pipeline import retraining
from scoring.settings import Settings
from scoring.training.recipes import TrainingRecipe
from scoring.warehouse import connect
from scoring.warehouse.queries import models as known_models

BATCH_DATE = date(2026, 11, 21)
ARGUMENTS = {"side": 128, "shrink": 4, "filters": [4, 8, 8, 8], "dense": [16], "dropout": 0.0}
TINY = TrainingRecipe(
    epochs=4, batch_size=8, learning_rate=0.01, warmup_steps=5, precision="float32", arguments=ARGUMENTS,
    rotation=0, zoom=0, shift=0, contrast=0, brightness=0,
)  # fmt: skip


KNOWN = {
    "tiny": TINY,
    "lazy": replace(TINY, epochs=1, learning_rate=1e-9),
    "stretched": replace(TINY, stretch=True),
}


def store_model(site, version, files, **facts):
    described = {
        "version": version,
        "trained_on_synthetic": True,
        "architecture": "erosion_cdf_network",
        "arguments": ARGUMENTS,
        "input_side": 128,
        "preprocessing_version": PREPROCESSING_VERSION,
    }
    return store.write_model(site.model_store_url, described | facts, files)


def settings_of(folder, warehouse):
    return Settings(
        var_dir=folder, warehouse_url=warehouse.job_url, code_revision="test", _env_file=None,
        min_joints_of_grade=20, min_training_patients=50,
    )  # fmt: skip


def forget_connections():
    connect._engine.cache_clear()


def open_run(site, **asked):
    wanted = {"recipes": ["tiny"], "metric": "accuracy_and_kappa", "trigger": "cli", "triggered_by": "tester"}
    return retraining.open_run(site, asked.pop("cut_off", None), **wanted | asked)


def retrain(site, **asked):
    wanted = {"recipes": ["tiny"], "cut_off": None, "metric": "accuracy_and_kappa", "epochs": None, "approve": False}
    return retraining.retrain(site, **wanted | asked, triggered_by="a steward")


def champion(warehouse):
    with warehouse.engine().connect() as connection:
        return known_models.champion(connection)["model_version"]


def promoted(warehouse):
    with warehouse.engine().connect() as connection:
        return known_models.promoted(connection)["model_version"]


def rows(warehouse, statement):
    with warehouse.engine().connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement)).mappings()]


def execute(warehouse, statement, **values):
    with warehouse.engine(warehouse.superuser_url).begin() as connection:
        connection.execute(sa.text(statement), values)
