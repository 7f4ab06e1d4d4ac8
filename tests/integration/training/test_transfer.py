"""Transfer learning from a weights file of InceptionV3: first its layers are frozen, then all are trained."""

import keras
import numpy as np
import pytest

from scoring.commands import benchmark
from scoring.errors import InvalidRequest
from scoring.networks.architecture import TRANSFERRED, build
from scoring.networks.weights import from_npz, get_weights, round_to_half, set_weights, to_npz
from scoring.progress import no_progress
from scoring.settings import Settings
from scoring.training.devices import strategy_for
from scoring.training.fit import TrainingRun
from scoring.training.recipes import TrainingRecipe
from tests.lib.joint_sets import joint_set

# Keras writes weights with a deprecated call of numpy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

ARGUMENTS = {"side": 75, "dense": [8], "dropout": 0.0, "head": "sigmoids"}
INCEPTION = keras.applications.InceptionV3


def tiny_body(*, include_top, weights, input_shape, pooling, name=None):
    """One convolution with batch normalisation, with the interface of InceptionV3."""
    inputs = keras.Input(input_shape)
    features = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=8)(inputs))
    network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(features), name=name)
    if weights is not None:
        network.load_weights(weights)
    return network


@pytest.fixture(params=["tiny", pytest.param("InceptionV3", marks=pytest.mark.slow)])
def body(request, monkeypatch):
    """Train a tiny body instead of InceptionV3 with its 22 million weights, which takes a minute."""
    made = tiny_body if request.param == "tiny" else INCEPTION
    monkeypatch.setattr(keras.applications, "InceptionV3", made)
    return made


@pytest.fixture
def weights_file(body, tmp_path):
    """Random weights in a file as Keras writes it for a network without top; nothing is downloaded."""
    keras.utils.set_random_seed(5)
    path = tmp_path / "notop.weights.h5"
    network = body(include_top=False, weights=None, input_shape=(75, 75, 3), pooling="avg")
    network.save_weights(path)
    return path, [(weight.name, np.asarray(weight)) for weight in network.weights]


def joints(first_patient):
    images = np.random.default_rng(first_patient).integers(0, 60, (4, 75, 75), dtype=np.uint8)
    images[1::2] += 150
    patients = np.array([f"{first_patient + i:05d}" for i in range(4)])
    return joint_set([0, 90, 0, 90], images=images, patient_id=patients)


def test_run_epoch_trains_transferred_layers_after_the_frozen_epochs(weights_file):
    path, before = weights_file
    recipe = TrainingRecipe(
        epochs=2, batch_size=4, learning_rate=1e-3, schedule="constant", precision="float32", frozen_epochs=1,
        architecture="inception_network", arguments={**ARGUMENTS, "weights": str(path)}, seed=1, patience=9,
    )  # fmt: skip
    run = TrainingRun(recipe, joints(0), joints(10), strategy_for([], 4))
    heads, unchanged = [get_weights(run.network)["dense1/kernel"]], []
    for _ in range(recipe.epochs):
        run.run_epoch(no_progress)
        weights = get_weights(run.network)
        heads.append(weights["dense1/kernel"])
        unchanged.append(
            [np.array_equal(weights[f"{TRANSFERRED}/{i:03d}_{name}"], w) for i, (name, w) in enumerate(before)]
        )
    # The moving averages of batch normalisation are frozen, too: a frozen layer predicts.
    assert all(unchanged[0])
    assert not any(unchanged[1])
    assert not np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[1], heads[2])


def test_to_npz_keeps_the_weights_of_nested_layers(weights_file):
    path, _ = weights_file
    network = build("inception_network", {**ARGUMENTS, "weights": str(path)})
    stored = from_npz(to_npz(round_to_half(get_weights(network))))
    again = build("inception_network", ARGUMENTS)
    set_weights(again, stored)
    images = joints(0).images[..., np.newaxis].astype(np.float32) / 255
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(network(images)), atol=0.05)


def test_build_repeats_grey_levels_in_three_channels_from_black_minus_1_to_white_1(body):
    network = build("inception_network", ARGUMENTS)
    rescaled = keras.Model(network.input, network.get_layer("rescale").output)
    images = np.linspace(0, 1, 75 * 75, dtype=np.float32).reshape(1, 75, 75, 1)
    found = np.asarray(rescaled(images))
    assert found.shape == (1, 75, 75, 3)
    np.testing.assert_allclose(found, np.repeat(images * 2 - 1, 3, axis=3), atol=1e-6)


def test_build_reports_a_missing_weights_file(tmp_path):
    with pytest.raises(ValueError, match=r"[Tt]he weights .*nowhere.h5 are not those of InceptionV3 without top"):
        build("inception_network", {**ARGUMENTS, "weights": str(tmp_path / "nowhere.h5")})


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_build_reports_weights_of_another_network(tmp_path):
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(ValueError, match=r"[Tt]he weights .*other.weights.h5 are not those of InceptionV3 without top"):
        build("inception_network", {**ARGUMENTS, "weights": str(path)})


def test_build_reports_a_damaged_weights_file(tmp_path):
    path = tmp_path / "damaged.weights.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(OSError, match=r"[Tt]he weights .*damaged.weights.h5 cannot be read: "):
        build("inception_network", {**ARGUMENTS, "weights": str(path)})


def test_build_reports_a_failed_download(monkeypatch):
    def no_network(*_, **__):
        raise Exception("URL fetch failure: Name or service not known")

    monkeypatch.setattr(keras.src.applications.inception_v3.file_utils, "get_file", no_network)
    with pytest.raises(OSError, match=r"imagenet cannot be downloaded: URL fetch failure.*Without internet access"):
        build("inception_network", {**ARGUMENTS, "weights": "imagenet"})


@pytest.mark.parametrize(
    ("recipes", "why"),
    [
        (["grid-residual", "inception-regression"], "not those of InceptionV3"),
        (["grid-residual"], "no recipe uses InceptionV3"),
    ],
)
def test_benchmark_rejects_unusable_weights_before_training(recipes, why, tmp_path):
    settings = Settings(var_dir=tmp_path, _env_file=None)
    arguments = {"patients": 20, "test_joints": 100, "epochs": 1, "seed": 1, "shrink": 2, "progress": no_progress}
    weights = str(tmp_path / "nowhere.h5")
    with pytest.raises(InvalidRequest, match=why):
        benchmark.run(settings, recipes=recipes, inception_weights=weights, **arguments)
    assert not any(tmp_path.iterdir())
