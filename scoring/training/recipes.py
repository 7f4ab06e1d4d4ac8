"""The training recipe, and the named recipes: every model of the thesis, and those meant to beat them.

The drafts of the thesis (Rohrbach, ZHAW 2017, sections 4.2 and 4.3) train a classifier of grades and a regressor of the
distribution of erosion, each with (a) the data as they are, (b) rare grades oversampled by augmented copies, (c) a loss
weighted by class; a regressor of the mean alone; and InceptionV3 with new dense layers, first with its weights frozen,
then as a whole. The recipes here differ in the input size (128 instead of 150 pixels), in the batch size (32 instead of
100 joints, because a few thousand joints make too few large batches), and in the number of epochs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scoring.errors import InvalidRequest
from scoring.networks.readout import MOST_PROBABLE, USUAL_RULE, ReadOutRule


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides how a network is trained, except the data; part of the manifest.

    Attributes:
        epochs: Maximum number of epochs. An epoch shows as many joints as the training set has, whatever the sampling.
        batch_size: Joints per step.
        learning_rate: Highest learning rate, after the warm-up.
        schedule: `cosine`, which falls to zero, or `constant`.
        warmup_steps: Steps over which a cosine schedule rises from zero first.
        weight_decay: Weight decay of AdamW, on kernels only; 0 makes it Adam.
        loss: A key of `scoring.networks.losses.LOSSES`.
        class_weights: True to weight a joint's loss by the rarity of its grade (`augment.class_weights`).
        average: Momentum of a running average of the weights, which is kept instead of the last weights; 0 for none. It
            covers at most one epoch: with fewer steps than its window, it would still contain the random start.
        balance: Oversampling of rare grades, from 0 (none) to 1 (all grades equally frequent), see
            `sampling.sample_epoch`. The prior of a network with a grid head is corrected afterwards
            (`sampling.prior_shift`).
        patience: Epochs without a better validation score after which training stops; frozen ones do not count.
        precision: Keras policy of the training. bfloat16 halves the memory traffic; weights stay float32. A CPU without
            bfloat16 trains in float32 (`devices.precision_for`).
        frozen_epochs: First epochs, in which the pretrained layers (InceptionV3) are frozen. Then all layers are
            trained, with a new optimiser.
        rule: How grades are read from the network's output.
        calibrated: True to fit grade weights and interval level to the validation set afterwards
            (`evaluation.calibration.calibrated_rule`).
        stretch: True to stretch the grey levels of each image to 0..1 first.
        augment_repeats_only: True to augment only the repeats of a joint within an epoch, which oversampling makes.
        rotation: Largest rotation of the augmentation, in degrees.
        shear: Largest shear, in radians.
        zoom: Largest change of size, as a fraction.
        shift: Largest shift, as a fraction of the side.
        contrast: Largest change of contrast, as a fraction.
        brightness: Largest change of brightness, as a fraction of the grey range.
        mirror: True to mirror half of the images left to right: erosion counts the same on either side, and right hands
            are mirrored left hands.
        seed: Seed of weights, sampling, augmentation and dropout.
        architecture: A key of `scoring.networks.architecture.ARCHITECTURES`.
        arguments: Arguments of the architecture.
    """

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    loss: str = "crps"
    class_weights: bool = False
    average: float = 0.0
    balance: float = 0.0
    patience: int = 5
    precision: str = "mixed_bfloat16"
    frozen_epochs: int = 0
    rule: ReadOutRule = USUAL_RULE
    calibrated: bool = False
    stretch: bool = False
    augment_repeats_only: bool = False
    rotation: float = 10.0
    shear: float = 0.0
    zoom: float = 0.10
    shift: float = 0.05
    contrast: float = 0.20
    brightness: float = 0.10
    mirror: bool = True
    seed: int = 0
    architecture: str = "erosion_cdf_network"
    arguments: dict[str, Any] = field(default_factory=lambda: {"side": 128})

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise InvalidRequest("A recipe needs at least 1 epoch and a batch size of at least 2.")
        if not 0 <= self.balance <= 1:
            raise InvalidRequest(f"The balance of a recipe must be between 0 (none) and 1 (equal), not {self.balance}.")
        if self.schedule not in {"cosine", "constant"}:
            raise InvalidRequest(f"The schedule of a recipe must be 'cosine' or 'constant', not {self.schedule!r}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingRecipe":
        """Return the recipe of a manifest, read from JSON. Fields that an older manifest lacks take their defaults."""
        rule = values.get("rule")
        return cls(**{**values, "rule": USUAL_RULE if rule is None else ReadOutRule.from_dict(rule)})


# As for the shipped model; a comparison of recipes may use fewer.
_EPOCHS = 12
_NETWORK = {"side": 128, "filters": [32, 32, 64, 64, 128, 128], "dense": [1024, 512], "dropout": 0.5}

# The thesis trains with Adam at a constant rate, and augments images only where it says so.
_THESIS = TrainingRecipe(
    epochs=_EPOCHS,
    learning_rate=1e-3,
    schedule="constant",
    weight_decay=0.0,
    rotation=0.0,
    zoom=0.0,
    shift=0.0,
    contrast=0.0,
    brightness=0.0,
    mirror=False,
)
_CLASSIFICATION = replace(
    _THESIS,
    loss="grade_crossentropy",
    rule=ReadOutRule(MOST_PROBABLE),
    arguments={**_NETWORK, "dense": [256, 256], "head": "grades"},
)
_REGRESSION = replace(_THESIS, loss="crps", arguments={**_NETWORK, "head": "sigmoids"})


def _oversampled(recipe: TrainingRecipe) -> TrainingRecipe:
    return replace(recipe, balance=1.0, augment_repeats_only=True, rotation=25.0, shear=0.1, zoom=0.1)


def _transfer(recipe: TrainingRecipe) -> TrainingRecipe:
    head = recipe.arguments["head"]
    arguments = {"side": 128, "dense": [1024, 512], "dropout": 0.5, "head": head, "weights": None}
    return replace(recipe, architecture="inception_network", learning_rate=1e-4, arguments=arguments)


BEST = "grid-residual"
"""The recipe of the shipped model, better than those of the thesis."""

FOR_A_SITE = "grid-residual-balanced"
"""The same recipe for a site's own readings. A site cannot draw severe joints, so its own are oversampled instead."""

# Cross-entropy over the readings' grid, a residual network with average pooling, augmentation of every image, a falling
# learning rate, and a running average of the weights. The network sees half the resolution, which takes a quarter of
# the arithmetic: on two cores, more steps help more than more pixels.
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

RECIPES: Mapping[str, TrainingRecipe] = {
    "classification-plain": _CLASSIFICATION,
    "classification-oversampled": _oversampled(_CLASSIFICATION),
    "classification-weighted": replace(_CLASSIFICATION, class_weights=True),
    "regression-plain": _REGRESSION,
    "regression-oversampled": _oversampled(_REGRESSION),
    "regression-weighted": replace(_REGRESSION, class_weights=True),
    "regression-stretched": replace(_REGRESSION, stretch=True),
    "regression-of-the-mean": replace(
        _REGRESSION, loss="squared_error", arguments={**_REGRESSION.arguments, "head": "point"}
    ),
    "inception-classification": _transfer(_CLASSIFICATION),
    "inception-regression": _transfer(_REGRESSION),
    BEST: _BEST,
    "ordinal-residual": replace(_BEST, arguments={**_BEST.arguments, "head": "ordinal"}),
    FOR_A_SITE: replace(_BEST, balance=0.5),
}


def recipe_named(
    name: str, *, seed: int, epochs: int | None = None, inception_weights: str | None = None
) -> TrainingRecipe:
    """Return a recipe by its name, or raise InvalidRequest if there is none.

    Transfer learning starts from `inception_weights` (`scoring.networks.architecture.inception_network`; by default,
    random weights) and spends half of its epochs frozen. The default of `epochs` is the recipe's own number.
    """
    if name not in RECIPES:
        raise InvalidRequest(f"There is no recipe {name!r}. Use one of: {', '.join(sorted(RECIPES))}.")
    epochs = epochs or RECIPES[name].epochs
    recipe = replace(RECIPES[name], seed=seed, epochs=epochs)
    if not is_transfer(recipe):
        return recipe
    return replace(recipe, frozen_epochs=epochs // 2, arguments={**recipe.arguments, "weights": inception_weights})


def is_transfer(recipe: TrainingRecipe) -> bool:
    """Return True if the recipe starts from pretrained weights of InceptionV3."""
    return recipe.architecture == "inception_network"
