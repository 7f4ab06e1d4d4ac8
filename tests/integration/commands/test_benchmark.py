"""The tables that the benchmark prints; nothing is drawn or trained."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scoring.commands import benchmark
from scoring.errors import InvalidRequest
from scoring.networks.readout import ReadOutRule
from scoring.pipeline import models
from scoring.progress import no_progress
from scoring.training.benchmark import comparison
from scoring.training.benchmark.comparison import BenchmarkSets, ComparedModel
from tests.lib.joint_sets import PERCENT_OF_GRADE, certain_cdf, joint_set

INSTALLATION = SimpleNamespace(var_dir=Path("nowhere"))
ARGUMENTS = {
    "recipes": (), "patients": 60, "test_joints": 120, "epochs": 3, "seed": 1, "shrink": 2, "progress": no_progress,
}  # fmt: skip
SETS = BenchmarkSets(*(joint_set(np.tile(PERCENT_OF_GRADE, n)) for n in (10, 10, 20)))


def model(name, error, seconds=90.0):
    """A model with predictions that are too high by `error` percentage points."""
    cdfs = (certain_cdf(np.clip(part.reading + error, 0, 100)) for part in (SETS.validation, SETS.test))
    return ComparedModel(name, *cdfs, ReadOutRule(), seconds)


@pytest.fixture(autouse=True)
def trained(monkeypatch):
    monkeypatch.setattr(comparison, "phantom_sets", lambda *_, **__: SETS)
    monkeypatch.setattr(comparison, "compare_recipes", lambda *_, **__: [model("off", 25), model("right", 0)])


@pytest.fixture
def compared():
    return benchmark.run(INSTALLATION, **ARGUMENTS)


def test_run_compares_every_recipe_with_a_stored_model(monkeypatch):
    """The stored model is the reference, even if a recipe is better."""
    stored = SimpleNamespace(manifest={"data": {"seed": 1}})
    monkeypatch.setattr(models, "load", lambda _, version: stored if version == "mine-1" else None)
    variants = [model(f"mine-1, {how}", 10, math.nan) for how in ("as stored", "tempered")]
    monkeypatch.setattr(comparison, "stored_model_variants", lambda *_: variants)
    figures, differences = benchmark.run(INSTALLATION, **ARGUMENTS, model="mine-1")
    rows = {row["recipe"]: row for row in figures.rows}
    assert rows["mine-1, as stored"]["minutes"] == ""
    lead = {row["mine-1, as stored minus"]: row["class-normalised accuracy"] for row in differences.rows}
    assert set(lead) == {"off", "right", "mine-1, tempered"}
    assert lead["right"].startswith("-")
    assert lead["mine-1, tempered"] == "0.000 [0.000, 0.000]"


def test_run_rejects_a_model_trained_on_patients_of_the_benchmark(monkeypatch):
    known = {
        "mine-1": {"data": {"seed": comparison.TEST_SEED}},
        "mine-1-limbs": {"data": {"seed": 5}, "started_from": "mine-1"},
    }
    monkeypatch.setattr(models, "load", lambda _, version: SimpleNamespace(manifest=known[version]))
    for version in known:
        with pytest.raises(InvalidRequest, match=f"Model {version} was trained on patients of this benchmark"):
            benchmark.run(INSTALLATION, **ARGUMENTS, model=version)


def test_run_lists_the_best_model_first_and_describes_the_data(compared):
    figures, _ = compared
    assert [row["recipe"] for row in figures.rows] == ["right", "off"]
    assert figures.rows[0]["class-normalised accuracy"] == "1.000 [1.000, 1.000]"
    assert figures.rows[0]["minutes"] == "1.5"
    assert figures.title == (
        "120 synthetic joints of 30 phantom patients; 60 training joints of another registry, 3 epochs each, seed 1; "
        "says nothing about real patients"
    )


def test_run_compares_the_best_model_with_every_other(compared):
    _, differences = compared
    (row,) = differences.rows
    assert row["right minus"] == "off"
    assert row["QWK"][0] != "-"
    assert float(row["class-normalised accuracy"].split()[0]) > 0
