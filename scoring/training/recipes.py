"""The named recipes: every model of the thesis, and what beats them.

The drafts of the thesis (Rohrbach, ZHAW 2017, sections 4.2 and 4.3) train a classifier of the grades and a regressor
of the distribution of erosion, each on (a) the data as they are, (b) rare grades oversampled by augmented copies, (c) a
loss weighted by class; a regressor of the mean alone; and InceptionV3 with new dense layers, first with the old weights
frozen, then all together. They differ from the thesis in the size of the input, 128 instead of 150 pixels, in the
batches, 32 instead of 100 joints, because a few thousand joints make too few steps of the larger ones, and in the
number of epochs.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scoring.errors import InvalidRequest
from scoring.networks.readout import MOST_PROBABLE, ReadOutRule
from scoring.training.fit import TrainingRecipe

# What the shipped model was trained for; who compares recipes may ask for fewer.
_EPOCHS = 12
_FILTERS = [32, 32, 64, 64, 128, 128]

# The thesis trains with Adam at a constant rate and changes no image unless it says so.
_THESIS: dict[str, Any] = {
    "epochs": _EPOCHS,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "rotation": 0.0,
    "zoom": 0.0,
    "shift": 0.0,
    "contrast": 0.0,
    "brightness": 0.0,
    "mirror": False,
}
_OVERSAMPLED: dict[str, Any] = {
    "balance": 1.0,
    "augment_repeats_only": True,
    "rotation": 25.0,
    "shear": 0.1,
    "zoom": 0.10,
}
_CLASSIFICATION = TrainingRecipe(
    **_THESIS,
    loss="grade_crossentropy",
    rule=ReadOutRule(MOST_PROBABLE),
    arguments={"side": 128, "filters": _FILTERS, "dense": [256, 256], "dropout": 0.5, "head": "grades"},
)
_REGRESSION = TrainingRecipe(
    **_THESIS,
    loss="crps",
    arguments={"side": 128, "filters": _FILTERS, "dense": [1024, 512], "dropout": 0.5, "head": "sigmoids"},
)
_TRANSFER: dict[str, Any] = {"architecture": "inception_network", "learning_rate": 1e-4}


def _inception(head: str) -> dict[str, Any]:
    return {"side": 128, "dense": [1024, 512], "dropout": 0.5, "head": head, "weights": None}


BEST = "grid-residual"
"""What beats them, and what the shipped model was trained by; see docs/model.md for what else was tried."""

FOR_A_SITE = "grid-residual-balanced"
"""The same for readings as they occur: a site cannot draw more severe joints, so those it has are shown more often."""

# Cross-entropy over what readers can write down, a residual network with averaged pooling, every image augmented,
# a rate that falls to zero, and a running average of the weights. It sees half the resolution, a quarter of the
# arithmetic: what can be trained on two cores goes further in more steps than in more pixels.
_BEST = TrainingRecipe(
    epochs=_EPOCHS,
    calibrated=True,
    loss="grid_crossentropy",
    average=0.99,
    architecture="residual_network",
    arguments={
        "side": 128,
        "stages": [[32, 1], [64, 1], [128, 1], [160, 1]],
        "dense": [],
        "dropout": 0.0,
        "head": "grid",
        "shrink": 2,
    },
)

# What else was tried to beat them; docs/model.md says how it came out.
_ORDINAL = replace(_BEST, arguments={**_BEST.arguments, "head": "ordinal"})
_BALANCED = replace(_BEST, balance=0.5)

RECIPES: Mapping[str, TrainingRecipe] = {
    "classification-plain": _CLASSIFICATION,
    "classification-oversampled": replace(_CLASSIFICATION, **_OVERSAMPLED),
    "classification-weighted": replace(_CLASSIFICATION, class_weights=True),
    "regression-plain": _REGRESSION,
    "regression-oversampled": replace(_REGRESSION, **_OVERSAMPLED),
    "regression-weighted": replace(_REGRESSION, class_weights=True),
    "regression-stretched": replace(_REGRESSION, stretch=True),
    "regression-of-the-mean": replace(
        _REGRESSION, loss="squared_error", arguments={**_REGRESSION.arguments, "head": "point"}
    ),
    "inception-classification": replace(_CLASSIFICATION, **_TRANSFER, arguments=_inception("grades")),
    "inception-regression": replace(_REGRESSION, **_TRANSFER, arguments=_inception("sigmoids")),
    BEST: _BEST,
    "ordinal-residual": _ORDINAL,
    FOR_A_SITE: _BALANCED,
}


def recipe_named(
    name: str, *, seed: int, epochs: int | None = None, inception_weights: str | None = None
) -> TrainingRecipe:
    """A recipe by its name.

    Args:
        name: A key of `RECIPES`.
        seed: Of the weights, the sampling, the augmentation and the dropout.
        epochs: At most so many; None keeps the recipe's own number. Transfer learning spends half of them frozen.
        inception_weights: What transfer learning begins with, see `scoring.networks.architecture.inception_network`;
            None begins with fresh weights. Other recipes have no use for it.

    Raises:
        InvalidRequest: No such recipe.
    """
    if name not in RECIPES:
        raise InvalidRequest(f"no recipe {name!r}; the recipes are {', '.join(sorted(RECIPES))}")
    recipe = RECIPES[name]
    epochs = epochs or recipe.epochs
    recipe = replace(recipe, seed=seed, epochs=epochs)
    if not transfers(recipe):
        return recipe
    return replace(recipe, frozen_epochs=epochs // 2, arguments={**recipe.arguments, "weights": inception_weights})


def transfers(recipe: TrainingRecipe) -> bool:
    """Whether the recipe goes on from what InceptionV3 has learnt elsewhere."""
    return recipe.architecture == "inception_network"
