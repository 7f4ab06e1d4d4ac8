"""The retraining DAG, run by Airflow's own `dag.test` on a real warehouse with joints that anybody can read."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.lib.bars import write_bar_batches

# Airflow's in-process server imports a test client that announces its successor.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

NIGHT = date(2026, 11, 21)
DAGS = Path(__file__).parents[2] / "dags"
ARGUMENTS = {"side": 128, "filters": [4, 8, 8, 8], "dense": [16], "dropout": 0.0}


def airflow(*command):
    subprocess.run([sys.executable, "-m", "airflow", *command], capture_output=True, check=True)


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landing")
    write_bar_batches(str(folder), seed=3, first_batch=NIGHT, batches=1, n_patients=120, years=0.5)
    return folder


@pytest.fixture(scope="module")
def known_dags(airflow_metadata):
    """One DAG can start another only when Airflow's tables know that one, and know it as not paused."""
    airflow("dags", "reserialize")
    airflow("dags", "unpause", "rescoring", "--yes")


@pytest.fixture
def site(known_dags, warehouse, landing, tmp_path, monkeypatch):
    """An installation with one night, whose champion is a network as it is before it has learnt anything."""
    import keras

    from scoring.imaging.preprocess import PREPROCESSING_VERSION
    from scoring.model_store import store
    from scoring.networks.architecture import build
    from scoring.pipeline import models, nightly
    from scoring.settings import get_settings
    from scoring.training import export_model, recipes
    from scoring.training.recipes import TrainingRecipe
    from scoring.warehouse import connect

    monkeypatch.setenv("SCORING_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("SCORING_LANDING_URL", str(landing))
    monkeypatch.setenv("SCORING_CODE_REVISION", "test")
    monkeypatch.setenv("SCORING_MIN_TRAINING_PATIENTS", "50")
    monkeypatch.setenv("SCORING_WAREHOUSE_URL", warehouse.job_url)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.job_url)
    monkeypatch.syspath_prepend(str(DAGS))
    tiny = TrainingRecipe(
        epochs=4, batch_size=8, learning_rate=0.01, warmup_steps=5, precision="float32", arguments=ARGUMENTS,
        rotation=0, zoom=0, shift=0, contrast=0, brightness=0,
    )  # fmt: skip
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": tiny})
    get_settings.cache_clear()
    settings = get_settings()
    keras.utils.set_random_seed(1)
    facts = {"version": "ignorant-1", "trained_on_synthetic": True, "architecture": "erosion_cdf_network",
             "arguments": ARGUMENTS, "input_side": 128, "preprocessing_version": PREPROCESSING_VERSION}  # fmt: skip
    store.write_model(
        settings.model_store_url, facts, export_model.model_files(build("erosion_cdf_network", dict(ARGUMENTS)))
    )
    models.promote(settings, version="ignorant-1", promoted_by="tester", reason="the first")
    nightly.run_batch(settings, NIGHT, triggered_by="tester")
    yield settings
    get_settings.cache_clear()
    connect._engine.cache_clear()
    sys.modules.pop("scoring_airflow", None)


def run_dag(dag_id="retraining", **conf):
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    return bag.dags[dag_id].test(run_conf=conf)


def states(dag_run):
    return {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def challenges(warehouse):
    with warehouse.engine().connect() as connection:
        found = connection.exec_driver_sql("SELECT * FROM analyst.challenge ORDER BY challenge_id").mappings()
        return [dict(row) for row in found]


def champion(warehouse):
    with warehouse.engine().connect() as connection:
        return connection.exec_driver_sql("SELECT model_version FROM analyst.champion").scalar()


def test_without_a_question_a_better_challenger_is_promoted_and_one_that_is_not_better_is_not(site, warehouse):
    dag_run = run_dag(recipes=["tiny"], approval="none")
    assert str(dag_run.state) == "success"
    found = states(dag_run)
    assert (found.pop("worth_asking"), found.pop("ask")) == ("success", "skipped")
    assert set(found.values()) == {"success"}
    (better,) = challenges(warehouse)
    assert better["challenger"].startswith("tiny-2026-11-21-")
    assert (better["decision"], better["decided_by"]) == ("promoted", "dag_test")
    # `rescore` has started the other DAG, and only its end makes the challenger the champion.
    assert champion(warehouse) == "ignorant-1"
    assert str(run_dag("rescoring").state) == "success"
    assert champion(warehouse) == better["challenger"]

    # The same again is no better than itself: green, the reason is written down, and no person is asked.
    again = run_dag(recipes=["tiny"], approval="person")
    assert str(again.state) == "success"
    assert (states(again)["ask"], states(again)["rescore"]) == ("skipped", "skipped")
    assert states(again)["decide"] == "success"
    no_better = challenges(warehouse)[-1]
    assert no_better["decision"] == "refused by the gate"
    assert "it is not shown to be better" in no_better["reasons"][0]
    assert champion(warehouse) == better["challenger"]


def test_a_promotion_that_cannot_be_put_in_force_is_no_success(site, warehouse):
    """A paused `rescoring` would only queue what was started, and nobody would notice that nothing switches."""
    airflow("dags", "pause", "rescoring", "--yes")
    try:
        dag_run = run_dag(recipes=["tiny"], approval="none")
    finally:
        airflow("dags", "unpause", "rescoring", "--yes")
    found = states(dag_run)
    assert (str(dag_run.state), found["decide"], found["rescore"]) == ("failed", "success", "failed")
    assert challenges(warehouse)[-1]["decision"] == "promoted"
    assert champion(warehouse) == "ignorant-1"


def test_a_set_that_nothing_can_be_learnt_from_fails_the_run_with_the_reason(site, warehouse, monkeypatch):
    from scoring.settings import get_settings

    monkeypatch.setenv("SCORING_MIN_TRAINING_PATIENTS", "1000")
    get_settings.cache_clear()
    dag_run = run_dag(recipes=["tiny"], approval="none")
    assert str(dag_run.state) == "failed"
    assert states(dag_run)["validate"] == states(dag_run)["close_run"] == "failed"
    assert {ti.task_id: ti.try_number for ti in dag_run.get_task_instances()}["validate"] == 1
    assert champion(warehouse) == "ignorant-1"
    with warehouse.engine().connect() as connection:
        message = connection.exec_driver_sql(
            "SELECT message FROM scoring.run_result INNER JOIN scoring.run USING (run_id) WHERE job = 'retraining'"
        ).scalar()
    assert "The readings are of fewer than 1000 patients" in message
