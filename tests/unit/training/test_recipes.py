import json
from dataclasses import asdict

import pytest

from scoring.errors import InvalidRequest
from scoring.networks.heads import HEADS
from scoring.networks.losses import LOSSES
from scoring.training.benchmark.comparison import WITH_NEIGHBOURS, shrunk
from scoring.training.fit import TrainingRecipe
from scoring.training.recipes import BEST, RECIPES, recipe_named


def test_every_recipe_of_the_thesis_is_there():
    for task in ("classification", "regression"):
        assert {f"{task}-plain", f"{task}-oversampled", f"{task}-weighted", f"inception-{task}"} <= set(RECIPES)
    assert {"regression-of-the-mean", "regression-stretched", BEST} <= set(RECIPES)
    assert set(RECIPES) >= WITH_NEIGHBOURS


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_a_loss_and_a_head_that_exist(name):
    recipe = recipe_named(name, seed=1, epochs=4)
    assert recipe.loss in LOSSES
    # The shipped model's manifest names no head: the architecture's own is the thesis's.
    assert recipe.arguments.get("head", "sigmoids") in HEADS
    assert recipe.epochs == 4


def test_the_thesis_varies_one_thing_at_a_time():
    for task in ("classification", "regression"):
        plain, weighted = (asdict(RECIPES[f"{task}-{variant}"]) for variant in ("plain", "weighted"))
        assert {key for key in plain if plain[key] != weighted[key]} == {"class_weights"}
        oversampled = RECIPES[f"{task}-oversampled"]
        assert (oversampled.rotation, oversampled.shear, oversampled.zoom, oversampled.balance) == (25, 0.1, 0.1, 1)


def test_transfer_learning_spends_half_of_its_epochs_frozen():
    assert recipe_named("inception-regression", seed=1, epochs=9).frozen_epochs == 4
    assert recipe_named("regression-plain", seed=1, epochs=9).frozen_epochs == 0


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_of_a_manifest_is_the_recipe(name):
    recipe = recipe_named(name, seed=5, epochs=3)
    assert TrainingRecipe.from_dict(json.loads(json.dumps(asdict(recipe)))) == recipe


def test_what_an_older_manifest_does_not_say_is_as_it_was():
    assert TrainingRecipe.from_dict({"epochs": 3, "seed": 5}) == TrainingRecipe(epochs=3, seed=5)


def test_an_unknown_recipe_is_named():
    with pytest.raises(InvalidRequest, match="no recipe 'soup'; the recipes are classification-oversampled"):
        recipe_named("soup", seed=1)


def test_half_the_resolution_is_as_small_as_each_network_takes():
    assert shrunk(RECIPES["regression-plain"], 2).arguments["shrink"] == 2
    assert shrunk(RECIPES["inception-regression"], 2).arguments["seen_side"] == 75
    assert shrunk(RECIPES[BEST], 1) is RECIPES[BEST]
