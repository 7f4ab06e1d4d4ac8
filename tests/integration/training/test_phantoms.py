"""The steps behind `scoring train`, `fine-tune` and `evaluate`, from drawing to the model store."""

import json
import logging

import numpy as np
import pytest

from scoring.errors import InvalidRequest
from scoring.model_store.store import SHIPPED_VERSION, find_model
from scoring.model_store.stored_model import NOTICE
from scoring.networks.weights import from_npz
from scoring.phantom.patients import LIMB_JOINTS
from scoring.training.data.phantoms import PhantomSource
from scoring.training.phantoms import evaluate_on_phantoms, fine_tune, train_on_phantoms
from scoring.training.recipes import TrainingRecipe
from tests.lib.drawings import replace_drawing


@pytest.fixture(params=["bars", pytest.param("phantoms", marks=pytest.mark.slow)])
def recipe(request, monkeypatch):
    """A recipe for a network with very few weights, on bars instead of phantoms unless slow tests run."""
    if request.param == "bars":
        replace_drawing(monkeypatch, side=16)
    side, filters = (16, [2]) if request.param == "bars" else (128, [2, 2, 2, 2, 4, 4])
    return TrainingRecipe(
        epochs=2,
        batch_size=8,
        precision="float32",
        arguments={"side": side, "filters": filters, "dense": [4], "dropout": 0.0},
    )


@pytest.mark.slow
def test_train_on_phantoms_stores_a_model_that_evaluates_as_its_manifest_states(recipe, tmp_path, caplog):
    store, source = str(tmp_path / "store"), PhantomSource(cache_dir=tmp_path / "cache")
    options = {"source": source, "n_patients": 8, "seed": 5, "test_joints": 60}
    manifest = train_on_phantoms("tiny", recipe, store, work_dir=tmp_path / "work", code_revision="abc", **options)
    assert [epoch["epoch"] for epoch in manifest["training"]["history"]] == [1, 2]
    assert manifest["notice"] == NOTICE
    assert manifest["code_revision"] == "abc"
    assert manifest["data"]["seed"] == 5
    assert sum(manifest["data"]["training"]["grades"]) == manifest["data"]["training"]["n_joints"]
    assert manifest["recipe"]["epochs"] == 2
    assert manifest["engines"]["measured"][0]["accepted"]
    assert json.loads(json.dumps(manifest)) == find_model("tiny", store).manifest

    for against in ("reading", "truth"):
        evaluation = evaluate_on_phantoms("tiny", store, source=source, against=against)
        assert json.loads(json.dumps(evaluation.to_dict())) == manifest["metrics"][against]
    assert "test_set_differs" not in caplog.text

    again = train_on_phantoms("tiny-2", recipe, store, **options)
    assert again["files"]["network.bin"]["sha256"] == manifest["files"]["network.bin"]["sha256"]


@pytest.mark.slow
def test_fine_tune_trains_a_left_hand_model_on_all_limbs(recipe, tmp_path):
    store, source = str(tmp_path / "store"), PhantomSource(cache_dir=tmp_path / "cache")
    train_on_phantoms("left", recipe, store, source=source, n_patients=8, seed=5, test_joints=40)
    left = find_model("left", store)
    options = {"source": source, "n_patients": 8, "test_joints": 40, "epochs": 1}

    found = fine_tune(left, "all", store, **options)

    assert [figures.limb for figures in found] == list(LIMB_JOINTS)
    assert {figures.before.n for figures in found} == {40}
    tuned = find_model("all", store)
    assert tuned.manifest["started_from"] == "left"
    assert tuned.manifest["recipe"]["learning_rate"] == pytest.approx(recipe.learning_rate / 10)
    assert tuned.manifest["data"]["limbs"] == list(LIMB_JOINTS)
    assert tuned.manifest["test_set"]["n_joints"] == 40 * len(LIMB_JOINTS)
    before, after = (from_npz(model.files["weights.npz"])["block1_conv1/kernel"] for model in (left, tuned))
    assert 0 < np.abs(before.astype(np.float32) - after.astype(np.float32)).max() < 0.1
    assert find_model("left", store).manifest == left.manifest
    with pytest.raises(InvalidRequest, match="Model all already exists"):
        fine_tune(left, "all", store, **options)


@pytest.mark.slow
def test_evaluate_on_phantoms_reproduces_the_figures_of_the_shipped_manifest(caplog):
    """Draws the 10,000 held-out joints. After a change of the drawing code, only the warning can be checked."""
    manifest = find_model(SHIPPED_VERSION, "no-such-store").manifest
    with caplog.at_level(logging.WARNING):
        found = evaluate_on_phantoms(SHIPPED_VERSION, "no-such-store", source=PhantomSource(workers=2))
    stated = manifest["metrics"]["reading"]
    if "test_set_differs" not in caplog.text:
        same = {name: found.measures[name] for name in stated["measures"]}
        assert same == pytest.approx(stated["measures"], abs=1e-3, rel=1e-3)
        for name, interval in stated["patient_intervals"].items():
            assert found.patient_intervals[name] == pytest.approx(interval, abs=2e-3), name
        assert np.abs(np.array(found.confusion) - np.array(stated["confusion"])).sum() <= 4
    assert found.n == stated["n"]
    assert found.measures["class_normalized_accuracy"] > 0.45
    assert found.measures["within_one_accuracy"] > 0.85
    assert found.measures["quadratic_weighted_kappa"] > 0.70
