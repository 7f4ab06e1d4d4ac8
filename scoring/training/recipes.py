"""The recipes that a candidate may be trained by, under the names that people give them."""

from collections.abc import Mapping
from dataclasses import replace

from scoring.errors import InvalidRequest
from scoring.training.fit import TrainingRecipe

RECIPES: Mapping[str, TrainingRecipe] = {"thesis-regression": TrainingRecipe()}


def recipe_named(name: str, *, seed: int, epochs: int | None = None) -> TrainingRecipe:
    """A recipe with its seed and, unless its own are wanted, its number of epochs.

    Raises:
        InvalidRequest: There is no recipe of that name.
    """
    try:
        recipe = RECIPES[name]
    except KeyError:
        raise InvalidRequest(f"no recipe {name!r}; there are {', '.join(sorted(RECIPES))}") from None
    return replace(recipe, seed=seed, epochs=epochs or recipe.epochs)
