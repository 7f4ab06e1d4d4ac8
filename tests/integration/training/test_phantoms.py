"""The public steps for real: draw, train, export, compare engines, evaluate, store; and the shipped model's figures."""

import json
import logging

import numpy as np
import pytest

from scoring.model_store.store import SHIPPED_VERSION, find_model
from scoring.model_store.stored_model import NOTICE
from scoring.training.fit import TrainingRecipe
from scoring.training.phantoms import evaluate_on_phantoms, train_on_phantoms


@pytest.mark.slow
def test_a_model_from_drawing_to_store(tmp_path, caplog):
    """A network of the real input size with next to no filters: what is tested is the way, not the model."""
    recipe = TrainingRecipe(
        batch_size=8,
        precision="float32",
        arguments={"side": 128, "filters": [2, 2, 2, 2, 4, 4], "dense": [8], "dropout": 0.0},
    )
    store, epochs = str(tmp_path / "store"), []
    options = {"cache_dir": tmp_path / "cache", "test_joints": 60}
    manifest = train_on_phantoms(
        8, 5, 2, store, "tiny", recipe=recipe, work_dir=tmp_path / "work", on_epoch=epochs.append,
        code_revision="abc", **options,
    )  # fmt: skip
    assert [epoch.epoch for epoch in epochs] == [1, 2]
    assert manifest["notice"] == NOTICE
    assert manifest["code_revision"] == "abc"
    assert manifest["data"]["seed"] == 5
    assert sum(manifest["data"]["training"]["grades"]) == manifest["data"]["training"]["n_joints"]
    assert manifest["recipe"]["epochs"] == 2
    assert manifest["engines"]["measured"][0]["accepted"]
    assert json.loads(json.dumps(manifest)) == find_model("tiny", store).manifest

    for against in ("reading", "truth"):
        evaluation = evaluate_on_phantoms("tiny", store, against=against, cache_dir=tmp_path / "cache")
        assert json.loads(json.dumps(evaluation.to_dict())) == manifest["metrics"][against]
    assert "test_set_differs" not in caplog.text

    again = train_on_phantoms(8, 5, 2, store, "tiny-2", recipe=recipe, **options)
    assert again["files"]["network.bin"]["sha256"] == manifest["files"]["network.bin"]["sha256"]


@pytest.mark.slow
def test_evaluate_prints_what_the_shipped_manifest_states(tmp_path, caplog):
    """Draws the 10,000 held-out joints again. If the drawing code changed, only a warning can be asked for."""
    manifest = find_model(SHIPPED_VERSION, "no-such-store").manifest
    with caplog.at_level(logging.WARNING):
        found = evaluate_on_phantoms(SHIPPED_VERSION, "no-such-store", workers=2)
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
