"""The comparison of recipes without training: what is cached, chosen on which set, and compared."""

import numpy as np
import pytest

from scoring.networks.readout import ReadOutRule, read_out
from scoring.training.benchmark import combinations, comparison
from scoring.training.benchmark.comparison import BenchmarkSets, ComparedModel, compare_recipes, evaluate_models
from scoring.training.fit import Trained
from scoring.training.recipes import BEST
from tests.lib.joint_sets import certain_cdf, joint_set


def joints(n, seed):
    rng = np.random.default_rng(seed)
    reading = rng.choice([0, 0, 0, 10, 30, 50, 70, 90], n)
    return joint_set(reading, images=rng.integers(0, 255, (n, 4, 4), dtype=np.uint8))


@pytest.fixture
def sets():
    return BenchmarkSets(joints(60, 1), joints(80, 2), joints(120, 3))


@pytest.fixture
def trainings(monkeypatch):
    """Replace training and prediction (0 % for every image); return epochs and shrink factor of each training."""
    calls = []

    def train(recipe, training, validation, **_):
        calls.append((recipe.epochs, recipe.arguments["shrink"]))
        return Trained(network=None, history=[], best_epoch=1, precision="float32")

    monkeypatch.setattr(comparison, "train", train)
    monkeypatch.setattr(comparison, "predict", lambda _, images, **__: certain_cdf(np.zeros(len(images))))
    return calls


def compare(names, sets, folder, epochs=1):
    return compare_recipes(names, sets, epochs=epochs, seed=1, shrink=2, folder=folder)


def model(name, sets, error):
    """A model with predictions that are too high by `error` percentage points."""
    cdfs = (certain_cdf(np.clip(part.reading + error, 0, 100)) for part in (sets.validation, sets.test))
    return ComparedModel(name, *cdfs, ReadOutRule(), 60.0)


def test_evaluate_models_compares_with_the_best_on_the_validation_set(sets):
    right, wrong = model("right", sets, 0), model("wrong", sets, 35)
    rows = {row.model.name: row for row in evaluate_models([wrong, right], sets)}
    assert rows["right"].lead == {}
    assert rows["right"].evaluation.measures["class_normalized_accuracy"] == 1
    lead = rows["wrong"].lead["class_normalized_accuracy"]
    assert 0 < lead.low <= lead.value <= lead.high


def test_compare_recipes_reads_cached_predictions_of_the_same_recipe(sets, tmp_path, trainings):
    first, again, _ = (compare(["classification-plain"], sets, tmp_path, epochs) for epochs in (2, 2, 3))
    assert trainings == [(2, 2), (3, 2)]
    assert again[0].rule == first[0].rule == ReadOutRule("most_probable")
    np.testing.assert_array_equal(again[0].test, first[0].test)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_compare_recipes_chooses_the_number_of_neighbours_on_the_validation_set(sets, tmp_path, trainings, monkeypatch):
    """Each joint is embedded at its reading: few neighbours are right, many mix the grades."""
    readings = {part.images.tobytes(): part.reading for part in (sets.train, sets.validation, sets.test)}
    monkeypatch.setattr(combinations, "embed", lambda _, images, **__: readings[images.tobytes()][:, np.newaxis])
    monkeypatch.setattr(comparison, "NEIGHBOURS", (1, 60))
    found = compare(["regression-plain"], sets, tmp_path)
    assert [each.name for each in found] == ["regression-plain", "regression-plain, 1 neighbours"]
    assert evaluate_models(found, sets)[1].evaluation.measures["accuracy"] == 1


def test_compare_recipes_adds_models_derived_from_the_best_recipe(sets, tmp_path, trainings, monkeypatch):
    """The network predicts 0 % for each image, and 20 % for its mirror image."""
    mirrored = {part.images[:, :, ::-1].tobytes() for part in (sets.validation, sets.test)}
    monkeypatch.setattr(
        comparison,
        "predict",
        lambda _, images, **__: certain_cdf(np.full(len(images), 20 if images.tobytes() in mirrored else 0)),
    )
    found = compare([BEST], sets, tmp_path)
    assert [each.name for each in found] == [BEST, f"{BEST}, with mirror image", f"{BEST}, with radiograph context"]
    assert read_out(found[1].test).mean == pytest.approx(np.full(120, 10))
