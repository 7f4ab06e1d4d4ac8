import json
from dataclasses import asdict

import pytest

from scoring.errors import InvalidRequest
from scoring.networks.heads import HEADS
from scoring.networks.losses import LOSSES
from scoring.training.benchmark.comparison import WITH_NEIGHBOURS, shrunk
from scoring.training.recipes import BEST, RECIPES, TrainingRecipe, recipe_named


def test_recipes_include_every_recipe_of_the_thesis():
    for task in ("classification", "regression"):
        assert {f"{task}-plain", f"{task}-oversampled", f"{task}-weighted", f"inception-{task}"} <= set(RECIPES)
    assert {"regression-of-the-mean", "regression-stretched", BEST} <= set(RECIPES)
    assert set(RECIPES) >= WITH_NEIGHBOURS


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_named_has_an_existing_loss_and_head(name):
    recipe = recipe_named(name, seed=1, epochs=4)
    assert recipe.loss in LOSSES
    # Without a head, the architecture uses that of the thesis.
    assert recipe.arguments.get("head", "sigmoids") in HEADS
    assert recipe.epochs == 4


def test_recipes_of_the_thesis_vary_one_thing_at_a_time():
    for task in ("classification", "regression"):
        plain, weighted = (asdict(RECIPES[f"{task}-{variant}"]) for variant in ("plain", "weighted"))
        assert {key for key in plain if plain[key] != weighted[key]} == {"class_weights"}
        oversampled = RECIPES[f"{task}-oversampled"]
        assert (oversampled.rotation, oversampled.shear, oversampled.zoom, oversampled.balance) == (25, 0.1, 0.1, 1)


def test_recipe_named_freezes_half_of_the_epochs_of_transfer_learning():
    assert recipe_named("inception-regression", seed=1, epochs=9).frozen_epochs == 4
    assert recipe_named("regression-plain", seed=1, epochs=9).frozen_epochs == 0


@pytest.mark.parametrize("name", RECIPES)
def test_from_dict_restores_the_recipe_of_a_manifest(name):
    recipe = recipe_named(name, seed=5, epochs=3)
    assert TrainingRecipe.from_dict(json.loads(json.dumps(asdict(recipe)))) == recipe


def test_from_dict_uses_defaults_for_an_older_manifest():
    assert TrainingRecipe.from_dict({"epochs": 3, "seed": 5}) == TrainingRecipe(epochs=3, seed=5)


def test_recipe_named_rejects_an_unknown_recipe():
    with pytest.raises(InvalidRequest, match=r"There is no recipe 'soup'\. Use one of: classification-oversampled"):
        recipe_named("soup", seed=1)


def test_shrunk_halves_the_resolution_as_far_as_the_network_permits():
    assert shrunk(RECIPES["regression-plain"], 2).arguments["shrink"] == 2
    assert shrunk(RECIPES["inception-regression"], 2).arguments["seen_side"] == 75
    assert shrunk(RECIPES[BEST], 1) is RECIPES[BEST]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({"epochs": 0}, "at least 1 epoch"),
        ({"batch_size": 1}, "a batch size of at least 2"),
        ({"balance": 1.5}, r"balance of a recipe must be between 0 \(none\) and 1 \(equal\), not 1.5"),
        ({"schedule": "linear"}, "schedule of a recipe must be 'cosine' or 'constant', not 'linear'"),
    ],
)
def test_training_recipe_rejects_invalid_fields(field, why):
    with pytest.raises(InvalidRequest, match=why):
        TrainingRecipe(**field)
