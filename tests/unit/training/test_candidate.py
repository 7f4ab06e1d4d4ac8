"""Which recipes a model can be made by: what no engine could score as it was trained is refused beforehand."""

import pytest

from scoring.errors import InvalidRequest
from scoring.training.candidate import check_recipe
from scoring.training.recipes import BEST, recipe_named


@pytest.mark.parametrize("name", [BEST, "ordinal-residual", "classification-weighted", "regression-plain"])
def test_recipes_that_can_score(name):
    assert check_recipe(recipe_named(name, seed=1)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("regression-stretched", "stretches grey levels"),
        ("regression-of-the-mean", "layer cdf is a Point"),
        ("inception-regression", "layer rgb is a Concatenate"),
    ],
)
def test_recipes_for_comparison_are_refused_before_anything_is_trained(name, why):
    with pytest.raises(InvalidRequest, match=why):
        check_recipe(recipe_named(name, seed=1))
