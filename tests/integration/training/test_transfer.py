"""InceptionV3 from a weights file: what is frozen stands still, then moves. A tiny set of the smallest images."""

import numpy as np
import pytest

from scoring.commands import benchmark
from scoring.errors import InvalidRequest
from scoring.networks.architecture import TRANSFERRED, build
from scoring.networks.weights import from_npz, get_weights, round_to_half, set_weights, to_npz
from scoring.settings import Settings
from scoring.training import fit
from scoring.training.data.joint_set import JointSet
from scoring.training.fit import TrainingRecipe, train

# Keras's own writing of weights asks numpy for a copy in a way that numpy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

ARGUMENTS = {"side": 75, "dense": [8], "dropout": 0.0, "head": "sigmoids"}


@pytest.fixture(scope="module")
def few():
    rng = np.random.default_rng(0)

    def joints(first_patient):
        reading = np.array([0, 90, 0, 90], np.float32)
        patients = np.array([f"{first_patient + i:05d}" for i in range(4)])
        images = rng.integers(0, 60, (4, 75, 75), dtype=np.uint8)
        images[1::2] += 150
        radiographs = np.char.add("2.25.", patients)
        return JointSet(
            images, reading, reading, patients, np.array(["hand_left_1"] * 4), radiographs, np.full(4, 2016)
        )

    return joints(0), joints(10)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Weights as Keras writes them for InceptionV3 without top; random ones, since nothing is downloaded here."""
    import keras

    keras.utils.set_random_seed(5)
    path = tmp_path_factory.mktemp("weights") / "inception_v3_notop.weights.h5"
    body = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3), pooling="avg")
    body.save_weights(path)
    return path, [(weight.name, np.asarray(weight)) for weight in body.weights]


def test_transfer_freezes_and_then_unfreezes(few, weights_file, tmp_path):
    path, before = weights_file
    recipe = TrainingRecipe(
        epochs=2, batch_size=4, learning_rate=1e-3, schedule="constant", precision="float32", frozen_epochs=1,
        architecture="inception_network", arguments={**ARGUMENTS, "weights": str(path)}, seed=1, patience=9,
    )  # fmt: skip
    after: dict[int, dict[str, np.ndarray]] = {}

    def look(epoch):
        with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as stored:
            after[epoch.epoch] = {name: stored[name] for name in stored.files if name.startswith("now:")}

    train(recipe, *few, work_dir=tmp_path, on_epoch=look)

    # Moving averages of batch normalisation stand still too: a frozen layer predicts, it does not train.
    same = {
        number: [
            np.array_equal(weights[f"now:{TRANSFERRED}/{i:03d}_{name}"], values)
            for i, (name, values) in enumerate(before)
        ]
        for number, weights in after.items()
    }
    assert all(same[1])
    assert not any(same[2])
    head = "now:dense1/kernel"
    assert not np.array_equal(after[1][head], after[2][head])
    assert not np.array_equal(after[1][head], get_weights(build("inception_network", dict(ARGUMENTS)))["dense1/kernel"])


@pytest.mark.slow
def test_frozen_epochs_use_up_no_patience(few, weights_file, monkeypatch):
    """New layers on frozen ones may be at their best at once; what comes of all of them shows only afterwards."""
    path, _ = weights_file
    scores = iter([0.9, 0.5, 0.5, 0.5])
    monkeypatch.setattr(fit.metrics, "evaluate", lambda *_: {"accuracy_and_kappa": next(scores), "crps": 0.1})
    recipe = TrainingRecipe(
        epochs=4, batch_size=4, precision="float32", frozen_epochs=2, patience=1,
        architecture="inception_network", arguments={**ARGUMENTS, "weights": str(path)},
    )  # fmt: skip
    learnt = train(recipe, *few)
    assert (len(learnt.history), learnt.best_epoch) == (3, 1)


def test_nested_weights_survive_a_file(few, weights_file):
    path, _ = weights_file
    network = build("inception_network", {**ARGUMENTS, "weights": str(path)})
    stored = from_npz(to_npz(round_to_half(get_weights(network))))
    again = build("inception_network", ARGUMENTS)
    set_weights(again, stored)
    images = few[0].images[..., np.newaxis].astype(np.float32) / 255
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(network(images)), atol=0.05)


def test_weights_that_are_not_there_are_an_error_in_words(tmp_path):
    with pytest.raises(ValueError, match=r"the weights .*nowhere.h5 are not those of InceptionV3 without top"):
        build("inception_network", {**ARGUMENTS, "weights": str(tmp_path / "nowhere.h5")})


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_network_are_an_error_in_words(tmp_path):
    import keras

    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(ValueError, match=r"the weights .*other.weights.h5 are not those of InceptionV3 without top"):
        build("inception_network", {**ARGUMENTS, "weights": str(path)})


def test_a_file_that_is_none_of_weights_and_a_missing_network_are_errors_in_words(tmp_path, monkeypatch):
    import keras

    path = tmp_path / "torn.weights.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(OSError, match=r"the weights .*torn.weights.h5 cannot be read: "):
        build("inception_network", {**ARGUMENTS, "weights": str(path)})

    def no_network(*_, **__):
        raise Exception("URL fetch failure: Name or service not known")

    monkeypatch.setattr(keras.src.applications.inception_v3.file_utils, "get_file", no_network)
    with pytest.raises(OSError, match=r"imagenet cannot be downloaded: URL fetch failure.*without a network"):
        build("inception_network", {**ARGUMENTS, "weights": "imagenet"})


def test_a_benchmark_says_at_once_that_its_weights_cannot_be_used(tmp_path):
    settings = Settings(var_dir=tmp_path, _env_file=None)
    asked = {"patients": 20, "test_joints": 100, "epochs": 1, "seed": 1, "shrink": 2, "progress": lambda *_: None}
    for recipes, why in (
        (["grid-residual", "inception-regression"], "not those of InceptionV3"),
        (["grid-residual"], "no recipe that begins with them"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            benchmark.run(settings, recipes=recipes, inception_weights=str(tmp_path / "nowhere.h5"), **asked)
    assert not any(tmp_path.iterdir())


def test_grey_levels_become_what_inception_was_trained_on():
    """Three equal channels, black -1 and white 1."""
    import keras

    network = build("inception_network", ARGUMENTS)
    seen = keras.Model(network.input, network.get_layer("rescale").output)
    images = np.linspace(0, 1, 75 * 75, dtype=np.float32).reshape(1, 75, 75, 1)
    given = np.asarray(seen(images))
    assert given.shape == (1, 75, 75, 3)
    np.testing.assert_allclose(given, np.repeat(images * 2 - 1, 3, axis=3), atol=1e-6)
