"""The benchmark without its training: what is kept, what is chosen on which set, what is compared."""

import numpy as np
import pytest

from scoring.networks.readout import N_POINTS, ReadOutRule, read_out
from scoring.training.benchmark.comparison import BenchmarkSets, Contestant, contest, place
from scoring.training.data.joint_set import JointSet
from scoring.training.fit import Trained
from scoring.training.recipes import BEST


def joints(n, seed):
    rng = np.random.default_rng(seed)
    reading = rng.choice([0, 0, 0, 10, 30, 50, 70, 90], n).astype(np.float32)
    patients = np.array([f"{i // 4:05d}" for i in range(n)])
    return JointSet(
        images=rng.integers(0, 255, (n, 4, 4), dtype=np.uint8),
        reading=reading,
        truth=reading,
        patient_id=patients,
        joint=np.array(["hand_left_1"] * n),
        sop_iuid=np.char.add("2.25.", patients),
        year=np.full(n, 2016),
    )


@pytest.fixture
def sets():
    return BenchmarkSets(joints(60, 1), joints(80, 2), joints(120, 3))


def answer(readings, off):
    """Distributions that put a joint `off` per cent too high."""
    return (np.arange(N_POINTS) >= np.clip(readings + off, 0, 100)[:, np.newaxis]).astype(np.float32)


def contestant(name, sets, off):
    return Contestant(name, answer(sets.validation.reading, off), answer(sets.test.reading, off), ReadOutRule(), 60.0)


def test_the_others_are_compared_with_the_best_of_the_validation_set(sets):
    right, wrong = (contestant(name, sets, off) for name, off in (("right", 0), ("wrong", 35)))
    placed = {one.name: one for one in place([wrong, right], sets)}
    assert placed["right"].behind == {}
    assert placed["right"].evaluation.measures["class_normalized_accuracy"] == 1
    value, low, high = placed["wrong"].behind["class_normalized_accuracy"]
    assert 0 < low <= value <= high


def test_what_was_trained_is_not_trained_again_and_another_epoch_is(sets, tmp_path, monkeypatch):
    trained = []

    def train(recipe, training, validation, **_):
        trained.append((recipe.epochs, recipe.arguments["shrink"]))
        return Trained(network=None, history=[], best_epoch=1, precision="float32")

    monkeypatch.setattr(contest, "train", train)
    monkeypatch.setattr(contest, "predict", lambda _, images, **__: answer(np.zeros(len(images)), 0))
    arguments = {"seed": 1, "shrink": 2, "folder": tmp_path}
    first = contest(["classification-plain"], sets, epochs=2, **arguments)
    again = contest(["classification-plain"], sets, epochs=2, **arguments)
    contest(["classification-plain"], sets, epochs=3, **arguments)
    assert trained == [(2, 2), (3, 2)]
    assert again[0].rule == first[0].rule == ReadOutRule("most_probable")
    np.testing.assert_array_equal(again[0].test, first[0].test)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_the_number_of_neighbours_is_chosen_on_the_validation_set(sets, tmp_path, monkeypatch):
    monkeypatch.setattr(
        contest, "train", lambda *_, **__: Trained(network=None, history=[], best_epoch=1, precision="float32")
    )
    monkeypatch.setattr(contest, "predict", lambda _, images, **__: answer(np.zeros(len(images)), 0))
    # Each joint lies at its reading: few neighbours are right, many mix the grades.
    of_images = {part.images.tobytes(): part.reading for part in (sets.train, sets.validation, sets.test)}
    monkeypatch.setattr(contest, "embed", lambda _, images, **__: of_images[images.tobytes()][:, np.newaxis])
    monkeypatch.setattr(contest, "NEIGHBOURS", (1, 60))
    found = contest(["regression-plain"], sets, epochs=1, seed=1, shrink=2, folder=tmp_path)
    assert [one.name for one in found] == ["regression-plain", "regression-plain, 1 neighbours"]
    assert place(found, sets)[1].evaluation.measures["accuracy"] == 1


def test_answers_of_several_are_contestants_too(sets, tmp_path, monkeypatch):
    """Asked about the mirror image, the network finds 20 per cent more."""
    mirrored = {part.images[:, :, ::-1].tobytes() for part in (sets.validation, sets.test)}
    monkeypatch.setattr(
        contest, "train", lambda *_, **__: Trained(network=None, history=[], best_epoch=1, precision="float32")
    )
    monkeypatch.setattr(
        contest,
        "predict",
        lambda _, images, **__: answer(np.zeros(len(images)), 20 if images.tobytes() in mirrored else 0),
    )
    found = contest([BEST], sets, epochs=1, seed=1, shrink=2, folder=tmp_path)
    assert [one.name for one in found] == [
        "grid-residual",
        "grid-residual, mirrored too",
        "grid-residual, with its radiograph",
    ]
    assert read_out(found[1].test).mean == pytest.approx(np.full(120, 10))
