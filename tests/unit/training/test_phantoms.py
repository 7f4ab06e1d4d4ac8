"""The public steps on drawings that cost nothing; the real ones are trained in tests/integration."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import InvalidRequest
from scoring.model_store.stored_model import NOTICE, StoredModel
from scoring.phantom.difficulty import LIFELIKE
from scoring.phantom.training_set import TrainingSet
from scoring.training.data import phantoms
from scoring.training.data.joint_set import split_of
from scoring.training.recipes import recipe_named


@pytest.fixture
def drawn(monkeypatch):
    """Replaces the drawing: 50 joints a patient, every tenth unread, enriched ones as asked."""
    calls = []

    def make(n_patients, seed, *, max_images=None, workers=1, enrich=0.0, difficulty=None, limb=None, progress=None):
        calls.append((n_patients, seed, max_images, enrich))
        n = min(n_patients * 50, max_images or n_patients * 50)
        rng = np.random.default_rng(seed)
        truth = rng.uniform(0, 100, n)
        return TrainingSet(
            images=rng.integers(0, 256, (n, 4, 4), dtype=np.uint8),
            erosion_true=truth,
            erosion_read=np.where(np.arange(n) % 10 == 0, np.nan, np.round(truth / 5) * 5),
            patient_id=np.array([f"{i // 50:05d}" for i in range(n)]),
            joint=np.array([f"hand_left_{i % 10 + 1}" for i in range(n)]),
            sop_iuid=np.array([f"1.2.{i // 10}" for i in range(n)]),
            year=np.full(n, 2016),
            enriched=rng.random(n) < enrich,
        )

    monkeypatch.setattr(phantoms.training_set, "make_training_set", make)
    return calls


def test_unread_joints_teach_nothing(drawn):
    data = phantoms.draw_phantoms(2, 1)
    assert len(data.joints) == 90
    assert not np.isnan(data.joints.reading).any()


def test_the_cache_keeps_which_joints_are_enriched(drawn, tmp_path):
    first = phantoms.draw_phantoms(5, 1, enrich=0.5, cache_dir=tmp_path)
    again = phantoms.draw_phantoms(5, 1, enrich=0.5, cache_dir=tmp_path)
    assert len(drawn) == 1
    np.testing.assert_array_equal(first.enriched, again.enriched)
    assert 0.2 < again.enriched.mean() < 0.8
    assert set(again.joints.joint) <= {f"hand_left_{i}" for i in range(1, 11)}
    phantoms.draw_phantoms(5, 2, enrich=0.5, cache_dir=tmp_path)
    assert len(drawn) == 2


def test_other_drawing_code_is_another_cache(drawn, tmp_path, monkeypatch):
    phantoms.draw_phantoms(2, 1, cache_dir=tmp_path)
    monkeypatch.setattr(phantoms, "phantom_revision", lambda: "changed")
    phantoms.draw_phantoms(2, 1, cache_dir=tmp_path)
    assert len(drawn) == 2


def test_a_difficulty_with_another_number_is_another_cache_whatever_it_is_called(drawn, tmp_path):
    phantoms.draw_phantoms(2, 1, difficulty=LIFELIKE, cache_dir=tmp_path)
    phantoms.draw_phantoms(2, 1, difficulty=replace(LIFELIKE, cysts=0.0), cache_dir=tmp_path)
    assert len(drawn) == 2


def test_the_best_epoch_is_chosen_at_the_registrys_prevalence(drawn):
    data = phantoms.draw_phantoms(40, 1, enrich=0.5)
    training, validation = phantoms.training_and_validation(data)
    assert {split_of(p) for p in training.patient_id} == {"train"}
    assert {split_of(p) for p in validation.patient_id} == {"validation"}
    natural = sum(
        split_of(p) == "validation" and not e for p, e in zip(data.joints.patient_id, data.enriched, strict=True)
    )
    assert len(validation) == natural


def test_slight_erosions_keep_the_registrys_proportions(drawn):
    data = phantoms.draw_phantoms(40, 1, enrich=0.5)
    training, _ = phantoms.training_and_validation(data)
    in_training = np.array([split_of(p) == "train" for p in data.joints.patient_id])
    for slight in (True, False):
        chosen = in_training & ((data.joints.truth <= phantoms.ENRICHED_ABOVE) == slight)
        expected = chosen & ~data.enriched if slight else chosen
        assert ((training.truth <= phantoms.ENRICHED_ABOVE) == slight).sum() == expected.sum()


def test_held_out_joints_are_as_many_as_asked_for(drawn):
    joints = phantoms.held_out(7, 100)
    assert len(joints) == 100
    assert drawn == [(9, 7, 225, 0.0)]


def test_too_few_read_joints_are_said(drawn, monkeypatch):
    monkeypatch.setattr(phantoms, "_UNREAD_SHARE", 1.0)
    monkeypatch.setattr(phantoms, "_UNREAD_EXTRA", 0)
    with pytest.raises(InvalidRequest, match="only 90 read joints, not 100"):
        phantoms.held_out(7, 100)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"trained_on_synthetic": False}, "phantoms say nothing about it: `scoring card --version v1`"),
        ({"test_set": {"limbs": ["hand_left", "wrist"], "n_joints": 50}}, "was not one of left hands alone"),
        ({"data": {"seed": 7}, "test_set": {"seed": 7}}, "trained on the phantoms of seed 7"),
    ],
)
def test_a_model_is_not_evaluated_on_what_says_nothing_about_it(drawn, monkeypatch, facts, why):
    monkeypatch.setattr(phantoms.store, "find_model", lambda *_: StoredModel(facts, {}))
    with pytest.raises(InvalidRequest, match=why):
        phantoms.evaluate_on_phantoms("v1", "store")
    assert not drawn


def test_training_and_test_seed_must_differ(tmp_path):
    with pytest.raises(InvalidRequest, match="both 7"):
        phantoms.train_on_phantoms(2, 7, 1, str(tmp_path), "v1", test_seed=7)


def test_a_version_is_refused_before_anything_is_drawn(drawn, tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "manifest.json").write_text("{}")
    with pytest.raises(InvalidRequest, match="model v1 exists"):
        phantoms.train_on_phantoms(2, 1, 1, str(tmp_path), "v1")
    with pytest.raises(InvalidRequest, match="model version"):
        phantoms.train_on_phantoms(2, 1, 1, str(tmp_path), "../v1")
    assert not drawn


def test_a_recipe_that_could_not_score_is_refused_before_anything_is_drawn(drawn, tmp_path):
    with pytest.raises(InvalidRequest, match="for `scoring benchmark` only"):
        phantoms.train_on_phantoms(2, 1, 1, str(tmp_path), "v1", recipe=recipe_named("regression-stretched", seed=1))
    assert not drawn


def test_the_data_card_says_synthetic():
    assert "Synthetic" in phantoms.DATA_CARD
    assert "Not for clinical use" in NOTICE
    assert json.dumps(phantoms.DATA_CARD)


def test_recipes_are_plain_data():
    recipe = replace(phantoms.TrainingRecipe(), epochs=3)
    assert recipe.epochs == 3
