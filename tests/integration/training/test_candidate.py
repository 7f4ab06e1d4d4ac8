import pytest

from scoring.errors import InvalidRequest
from scoring.training.candidate import check_recipe
from scoring.training.recipes import BEST, recipe_named


@pytest.mark.parametrize("name", [BEST, "ordinal-residual", "classification-weighted", "regression-plain"])
def test_check_recipe_accepts_recipes_that_can_score(name):
    assert check_recipe(recipe_named(name, seed=1)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("regression-stretched", "stretches grey levels"),
        ("regression-of-the-mean", "Layer cdf is a Point"),
        ("inception-regression", "Layer rgb is a Concatenate"),
    ],
)
def test_check_recipe_rejects_recipes_for_comparison_only(name, why):
    with pytest.raises(InvalidRequest, match=why):
        check_recipe(recipe_named(name, seed=1))
