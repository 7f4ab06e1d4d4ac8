"""The files of a model and the agreement of its engines, with random instead of trained weights."""

import keras
import numpy as np
import pytest

from scoring.errors import ModelRejected
from scoring.imaging.preprocess import PREPROCESSING_VERSION
from scoring.inference.engines import choose_engine
from scoring.model_store.stored_model import StoredModel
from scoring.networks.architecture import build
from scoring.networks.weights import get_weights, set_weights
from scoring.training import export_model
from scoring.training.fit import predict

ARGUMENTS = {"side": 16, "filters": [4, 8], "dense": [16], "dropout": 0.2}
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16), dtype=np.uint8)


def network_of(seed):
    """Return a network with random weights, batch normalisation included."""
    keras.utils.set_random_seed(seed)
    network = build("erosion_cdf_network", dict(ARGUMENTS))
    rng = np.random.default_rng(seed)
    weights = get_weights(network)
    for name, values in weights.items():
        if name.endswith(("gamma", "moving_variance")):
            weights[name] = rng.uniform(0.5, 1.5, values.shape).astype(np.float32)
        elif name.endswith(("beta", "bias", "moving_mean")):
            weights[name] = rng.normal(0, 0.3, values.shape).astype(np.float32)
    set_weights(network, weights)
    return network


@pytest.fixture(scope="module")
def network():
    return network_of(1)


@pytest.fixture(scope="module")
def model(network):
    facts = {
        "version": "random-1", "architecture": "erosion_cdf_network", "arguments": ARGUMENTS, "input_side": 16,
        "preprocessing_version": PREPROCESSING_VERSION,
    }  # fmt: skip
    return StoredModel(facts, export_model.model_files(network))


def test_model_files_are_the_network_in_half_precision(network, model):
    engine = choose_engine("tensorflow", model, 8)
    np.testing.assert_allclose(export_model.predict_with(engine, IMAGES), predict(network, IMAGES), atol=1e-6)


def test_measure_agreement_accepts_engines_of_one_network(model):
    found = export_model.measure_agreement(model, IMAGES)
    float32 = found["measured"][0]
    assert (float32["engine"], float32["precision"], float32["n"]) == ("openvino", "float32", len(IMAGES))
    assert float32["cdf"] < 1e-4
    assert float32["other_grade"] == 0
    assert float32["accepted"] is True


def test_measure_agreement_rejects_a_graph_with_the_weights_of_another_network(model):
    other = export_model.model_files(network_of(8))
    mixed = StoredModel(model.manifest, {**model.files, "weights.npz": other["weights.npz"]})
    with pytest.raises(ModelRejected, match="Model random-1: OpenVINO and TensorFlow differ by"):
        export_model.measure_agreement(mixed, IMAGES)


def test_choose_engine_rejects_weights_that_do_not_fit_the_architecture(model):
    wrong = StoredModel({**model.manifest, "arguments": ARGUMENTS | {"dense": [8]}}, model.files)
    with pytest.raises(ModelRejected, match=r"random-1.*dense1/kernel has shape"):
        choose_engine("tensorflow", wrong, 8)


def test_choose_engine_rejects_a_file_that_is_no_graph(model):
    broken = StoredModel(model.manifest, {**model.files, "network.xml": b"<net></net>"})
    with pytest.raises(ModelRejected, match=r"OpenVINO cannot load network.xml"):
        choose_engine("openvino", broken, 8)
