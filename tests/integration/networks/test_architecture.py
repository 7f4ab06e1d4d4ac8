"""The network, its loss, its weights and its OpenVINO graph; needs keras."""

import numpy as np
import pytest

from scoring.networks.architecture import build, erosion_cdf_network, residual_network
from scoring.networks.losses import cdf_target, crps_loss
from scoring.networks.openvino_graph import build_graph, import_openvino
from scoring.networks.readout import N_POINTS
from scoring.networks.weights import from_npz, get_weights, round_to_half, set_weights, to_npz
from scoring.training.evaluation import metrics

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def small_network():
    network = erosion_cdf_network(side=17, filters=(3, 5), dense=(7, 6), dropout=0.5)
    rng = np.random.default_rng(0)
    # New batch normalisation is the identity and would hide a wrong order of axes.
    values = {name: rng.uniform(0.2, 1.5, array.shape) for name, array in get_weights(network).items()}
    set_weights(network, round_to_half({name: v if "norm" in name else v - 0.8 for name, v in values.items()}))
    return network


def test_erosion_cdf_network_has_the_published_number_of_parameters():
    assert erosion_cdf_network(side=150, dense=(1024, 512)).count_params() == 1_785_605


def test_erosion_cdf_network_returns_101_probabilities_per_image(small_network):
    images = np.random.default_rng(1).random((4, 17, 17, 1), dtype=np.float32)
    cdf = np.asarray(small_network(images))
    assert cdf.shape == (4, N_POINTS)
    assert cdf.min() >= 0
    assert cdf.max() <= 1


def test_erosion_cdf_network_rejects_an_image_too_small_for_its_poolings():
    with pytest.raises(ValueError, match="must be >= 64"):
        erosion_cdf_network(side=63)


def test_build_rejects_an_unknown_architecture():
    with pytest.raises(ValueError, match=r"Unknown architecture 'resnet'\. Use one of erosion_cdf_network"):
        build("resnet", {})


def test_cdf_target_is_a_step_at_the_reading():
    target = np.asarray(cdf_target(np.array([0.0, 20.0, 57.5, 100.0], np.float32)))
    assert target.shape == (4, N_POINTS)
    assert target[0].all()
    assert not target[1, 19]
    assert target[1, 20]
    assert not target[2, 57]
    assert target[2, 58]
    assert target[3].sum() == 1


def test_crps_loss_equals_the_crps_of_the_metrics():
    rng = np.random.default_rng(2)
    cdf = rng.random((32, N_POINTS)).astype(np.float32)
    readings = rng.uniform(0, 100, 32).astype(np.float32)
    loss = np.asarray(crps_loss(cdf_target(readings), cdf))
    assert loss.shape == (32,)
    assert loss.mean() == pytest.approx(metrics.crps(cdf, readings), rel=1e-5)


def test_set_weights_restores_weights_from_a_file_bit_for_bit(small_network):
    weights = round_to_half(get_weights(small_network))
    other = erosion_cdf_network(side=17, filters=(3, 5), dense=(7, 6))
    set_weights(other, from_npz(to_npz(weights)))
    images = np.random.default_rng(3).random((2, 17, 17, 1), dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(other(images)), np.asarray(small_network(images)))


def test_set_weights_names_a_weight_that_does_not_fit(small_network):
    weights = dict(get_weights(small_network))
    moved = weights.pop("dense1/bias")
    with pytest.raises(ValueError, match="only one of them has dense1/bias"):
        set_weights(small_network, weights)
    with pytest.raises(ValueError, match=r"dense1/bias has shape \(6,\)"):
        set_weights(small_network, weights | {"dense1/bias": moved[:-1]})


def test_round_to_half_rejects_weights_beyond_half_precision():
    with pytest.raises(ValueError, match=r"diverged: weights without a finite half-precision value: a, b\."):
        round_to_half({"a": np.array([1e6]), "b": np.array([np.nan]), "c": np.array([1.0])})


def assert_openvino_agrees(network):
    images = np.random.default_rng(4).random((3, 17, 17, 1), dtype=np.float32)
    compiled = (
        import_openvino().Core().compile_model(build_graph(network, 3), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )
    # With random weights, logits are in the tens and float32 rounds at the fifth digit; wrong axes give errors up to 1.
    np.testing.assert_allclose(compiled(images)[0], np.asarray(network(images)), atol=1e-4)


def test_build_graph_computes_the_same_as_keras(small_network):
    assert_openvino_agrees(small_network)


@pytest.mark.parametrize("head", ["sigmoids", "grades", "grid", "ordinal"])
def test_build_graph_supports_every_head_of_a_distribution(head):
    # Fixed weights, because some draws give logits so large that float32 rounds at the fourth digit.
    keras.utils.set_random_seed(5)
    assert_openvino_agrees(residual_network(side=17, stages=((4, 1), (6, 1)), dense=(), head=head, shrink=2))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: keras.layers.Conv2D(2, 5, padding="same", name="odd"), "odd: only 3x3"),
        (lambda: keras.layers.MaxPooling2D(3, name="odd"), "odd: the OpenVINO graph supports only 2x2"),
        (lambda: keras.layers.ZeroPadding2D(2, name="odd"), "odd is a ZeroPadding2D; the OpenVINO graph supports"),
    ],
)
def test_build_graph_names_an_unsupported_layer(layer, message):
    network = keras.Sequential([keras.Input((9, 9, 1)), layer()])
    with pytest.raises(ValueError, match=message):
        build_graph(network, 1)


def test_build_graph_names_an_unsupported_activation():
    network = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "tanh")])
    with pytest.raises(ValueError, match="activation tanh"):
        build_graph(network, 1)
