"""Joint sets of phantoms; the drawing itself is replaced."""

from dataclasses import replace

import numpy as np
import pytest

from scoring.errors import InvalidRequest
from scoring.phantom.difficulty import LIFELIKE
from scoring.training.data import phantoms
from scoring.training.data.joint_set import split_of
from scoring.training.data.phantoms import PhantomSource
from tests.lib.drawings import replace_drawing


@pytest.fixture
def calls(monkeypatch):
    return replace_drawing(monkeypatch)


def test_draw_omits_unread_joints(calls):
    data = PhantomSource().draw(2, 1)
    assert len(data.joints) == 90
    assert not np.isnan(data.joints.reading).any()


def test_draw_restores_enriched_joints_from_the_cache(calls, tmp_path):
    source = PhantomSource(cache_dir=tmp_path)
    first, again = (source.draw(5, 1, enrich=0.5) for _ in range(2))
    assert len(calls) == 1
    np.testing.assert_array_equal(first.enriched, again.enriched)
    assert 0.2 < again.enriched.mean() < 0.8
    assert set(again.joints.joint) <= {f"hand_left_{i}" for i in range(1, 11)}
    source.draw(5, 2, enrich=0.5)
    assert len(calls) == 2


def test_draw_does_not_use_the_cache_of_other_drawing_code(calls, tmp_path, monkeypatch):
    source = PhantomSource(cache_dir=tmp_path)
    source.draw(2, 1)
    monkeypatch.setattr(phantoms, "phantom_revision", lambda: "changed")
    source.draw(2, 1)
    assert len(calls) == 2


def test_draw_does_not_use_the_cache_of_a_difficulty_with_the_same_name(calls, tmp_path):
    for difficulty in (LIFELIKE, replace(LIFELIKE, cysts=0.0)):
        PhantomSource(difficulty, tmp_path).draw(2, 1)
    assert len(calls) == 2


def test_split_for_training_keeps_the_registrys_prevalence_in_the_validation_set(calls):
    data = PhantomSource().draw(40, 1, enrich=0.5)
    training, validation, prior_readings = data.split_for_training()
    assert {split_of(p) for p in training.patient_id} == {"train"}
    assert {split_of(p) for p in validation.patient_id} == {"validation"}
    for part, natural in (("train", prior_readings), ("validation", validation)):
        pairs = zip(data.joints.patient_id, data.enriched, strict=True)
        assert len(natural) == sum(split_of(patient) == part and not enriched for patient, enriched in pairs)


def test_split_for_training_keeps_the_registrys_proportions_of_slight_erosions(calls):
    data = PhantomSource().draw(40, 1, enrich=0.5)
    training, _, _ = data.split_for_training()
    in_training = np.array([split_of(p) == "train" for p in data.joints.patient_id])
    for slight in (True, False):
        chosen = in_training & ((data.joints.truth <= phantoms.ENRICHED_ABOVE) == slight)
        expected = chosen & ~data.enriched if slight else chosen
        assert ((training.truth <= phantoms.ENRICHED_ABOVE) == slight).sum() == expected.sum()


def test_held_out_returns_the_requested_number_of_joints(calls):
    assert len(PhantomSource().held_out(7, 100)) == 100
    assert calls == [(9, 7, 225, 0.0)]


def test_held_out_rejects_a_registry_with_too_few_read_joints(calls, monkeypatch):
    monkeypatch.setattr(phantoms, "_UNREAD_SHARE", 1.0)
    monkeypatch.setattr(phantoms, "_UNREAD_EXTRA", 0)
    with pytest.raises(InvalidRequest, match="only 90 read joints; 100 are needed"):
        PhantomSource().held_out(7, 100)


def test_facts_state_that_the_data_are_synthetic():
    assert "Synthetic" in PhantomSource().facts(2, 1)["card"]
