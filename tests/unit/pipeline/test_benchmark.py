"""What the benchmark prints, from what was compared; nothing is drawn or trained."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scoring.commands import benchmark
from scoring.errors import InvalidRequest
from scoring.networks.readout import N_POINTS, ReadOutRule
from scoring.pipeline import models
from scoring.training.benchmark.comparison import BenchmarkSets, Contestant
from scoring.training.benchmark.comparison import contest as training
from scoring.training.data.joint_set import JointSet


def joints(n):
    patients = np.array([f"{i // 4:05d}" for i in range(n)])
    reading = np.tile([0, 10, 30, 50, 70, 90], n)[:n].astype(np.float32)
    return JointSet(
        images=np.zeros((n, 4, 4), np.uint8),
        reading=reading,
        truth=reading,
        patient_id=patients,
        joint=np.array(["hand_left_1"] * n),
        sop_iuid=np.char.add("2.25.", patients),
        year=np.full(n, 2016),
    )


class Installation:
    var_dir = Path("nowhere")


ARGUMENTS = {
    "recipes": (), "patients": 60, "test_joints": 120, "epochs": 3, "seed": 1, "shrink": 2, "progress": lambda *_: None,
}  # fmt: skip


@pytest.fixture
def stubbed(monkeypatch):
    sets = BenchmarkSets(joints(60), joints(60), joints(120))

    def contestant(name, off):
        answers = [
            (np.arange(N_POINTS) >= np.clip(part.reading + off, 0, 100)[:, np.newaxis]).astype(np.float32)
            for part in (sets.validation, sets.test)
        ]
        return Contestant(name, *answers, ReadOutRule(), 90.0)

    monkeypatch.setattr(training, "phantom_sets", lambda *_, **__: sets)
    monkeypatch.setattr(training, "contest", lambda *_, **__: [contestant("off", 25), contestant("right", 0)])
    return contestant


@pytest.fixture
def compared(stubbed):
    return benchmark.run(Installation(), **ARGUMENTS)


def test_a_stored_model_stands_beside_the_recipes(stubbed, monkeypatch):
    model = SimpleNamespace(manifest={"data": {"seed": 1}})
    monkeypatch.setattr(models, "load", lambda _, version: model if version == "mine-1" else None)
    stored = [replace(stubbed(f"mine-1, {how}", 10), seconds=math.nan) for how in ("as stored", "tempered")]
    monkeypatch.setattr(training, "shipped", lambda *_: stored)
    found = benchmark.run(Installation(), **ARGUMENTS, model="mine-1")
    rows = {row["recipe"]: row for row in found.figures}
    assert rows["mine-1, as stored"]["minutes"] == ""
    # Whoever names a model wants to know how it does, also where a recipe is better.
    ahead = {row["mine-1, as stored less"]: row["class-normalised accuracy"] for row in found.differences}
    assert set(ahead) == {"off", "right", "mine-1, tempered"}
    assert ahead["right"].startswith("-")
    assert ahead["mine-1, tempered"] == "0.000 [0.000, 0.000]"


def test_a_model_that_has_learnt_from_these_patients_is_refused(stubbed, monkeypatch):
    known = {
        "mine-1": {"data": {"seed": training.TEST_SEED}},
        "mine-1-limbs": {"data": {"seed": 5}, "started_from": "mine-1"},
    }
    monkeypatch.setattr(models, "load", lambda _, version: SimpleNamespace(manifest=known[version]))
    for version in known:
        with pytest.raises(InvalidRequest, match=f"{version} has learnt from patients of this comparison"):
            benchmark.run(Installation(), **ARGUMENTS, model=version)


def test_the_best_comes_first_and_says_on_what(compared):
    assert [row["recipe"] for row in compared.figures] == ["right", "off"]
    assert compared.figures[0]["class-normalised accuracy"] == "1.000 [1.000, 1.000]"
    assert compared.figures[0]["minutes"] == "1.5"
    for words in (
        "120 synthetic joints of 30 phantom patients",
        "60 joints of another registry to learn from",
        "3 epochs",
        "nothing about",
    ):
        assert words in compared.title


def test_the_best_is_compared_with_each_other_one(compared):
    (row,) = compared.differences
    assert row["right less"] == "off"
    assert row["QWK"][0] != "-"
    assert float(row["class-normalised accuracy"].split()[0]) > 0
