"""Requests that are rejected before anything is drawn or trained; tests/integration trains for real."""

import pytest

from scoring.errors import InvalidRequest
from scoring.model_store.stored_model import StoredModel
from scoring.training import phantoms
from scoring.training.data.phantoms import TEST_SEED, PhantomSource
from scoring.training.recipes import BEST, recipe_named
from tests.lib.drawings import replace_drawing


@pytest.fixture
def calls(monkeypatch):
    return replace_drawing(monkeypatch)


def train(store, version="v1", recipe=BEST, seed=1):
    phantoms.train_on_phantoms(
        version, recipe_named(recipe, seed=1), str(store), source=PhantomSource(), n_patients=2, seed=seed
    )


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"trained_on_synthetic": False}, "phantoms say nothing about it. Run `scoring card --version v1`"),
        ({"test_set": {"limbs": ["hand_left", "wrist"], "n_joints": 50}}, "had other limbs than left hands"),
        ({"data": {"seed": 7}, "test_set": {"seed": 7}}, "was trained on the test patients \\(seed 7\\)"),
    ],
)
def test_evaluate_on_phantoms_rejects_a_model_that_they_say_nothing_about(calls, monkeypatch, facts, why):
    monkeypatch.setattr(phantoms.store, "find_model", lambda *_: StoredModel(facts, {}))
    with pytest.raises(InvalidRequest, match=why):
        phantoms.evaluate_on_phantoms("v1", "store", source=PhantomSource())
    assert not calls


def test_train_on_phantoms_rejects_the_seed_of_the_test_set(calls, tmp_path):
    with pytest.raises(InvalidRequest, match=f"Seed {TEST_SEED} is reserved for the held-out test patients"):
        train(tmp_path, seed=TEST_SEED)
    assert not calls


def test_train_on_phantoms_rejects_a_version_before_drawing(calls, tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "manifest.json").write_text("{}")
    with pytest.raises(InvalidRequest, match="Model v1 already exists"):
        train(tmp_path)
    with pytest.raises(InvalidRequest, match=r"[Mm]odel version"):
        train(tmp_path, version="../v1")
    assert not calls


def test_train_on_phantoms_rejects_a_recipe_that_cannot_score_before_drawing(calls, tmp_path):
    with pytest.raises(InvalidRequest, match="for `scoring benchmark` only"):
        train(tmp_path, recipe="regression-stretched")
    assert not calls
