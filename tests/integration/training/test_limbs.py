"""Fine-tuning a tiny network of left-hand joints on the other limbs; seconds, most of them drawing and TensorFlow."""

import numpy as np
import pytest

from scoring.errors import InvalidRequest
from scoring.model_store.store import find_model
from scoring.networks.weights import from_npz
from scoring.phantom.difficulty import PLAIN
from scoring.phantom.registry import LIMB_JOINTS
from scoring.training.fine_tune import fine_tune
from scoring.training.fit import TrainingRecipe
from scoring.training.phantoms import train_on_phantoms

SMALL = {"n_patients": 8, "test_joints": 40, "epochs": 1, "difficulty": PLAIN}


@pytest.mark.slow
def test_other_limbs_are_learnt_from_a_model_of_left_hands(tmp_path):
    store, cache = str(tmp_path / "models"), tmp_path / "cache"
    recipe = TrainingRecipe(
        batch_size=16,
        precision="float32",
        arguments={"side": 128, "filters": [4, 4, 8, 8, 8, 8], "dense": [8], "dropout": 0.1},
    )
    train_on_phantoms(8, 5, 1, store, "left", recipe=recipe, test_joints=40, cache_dir=cache)
    left = find_model("left", store)

    found = fine_tune(left, "all", store, cache_dir=cache, **SMALL)

    assert [figures.limb for figures in found] == list(LIMB_JOINTS)
    assert {figures.before.n for figures in found} == {40}
    tuned = find_model("all", store)
    assert tuned.manifest["started_from"] == "left"
    assert tuned.manifest["recipe"]["learning_rate"] == pytest.approx(recipe.learning_rate / 10)
    assert tuned.manifest["data"]["limbs"] == list(LIMB_JOINTS)
    assert tuned.manifest["test_set"]["n_joints"] == 40 * len(LIMB_JOINTS)
    before, after = (from_npz(model.files["weights.npz"])["block1_conv1/kernel"] for model in (left, tuned))
    assert 0 < np.abs(before.astype(np.float32) - after.astype(np.float32)).max() < 0.1
    assert find_model("left", store).manifest == left.manifest
    with pytest.raises(InvalidRequest, match="model all exists"):
        fine_tune(left, "all", store, **SMALL)
