"""The thesis's regression network, in keras alone: a joint image in, the distribution of its erosion out."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

# The distribution function is read at 0, 1, ..., 100 per cent.
N_POINTS = 101

# Of the averages that batch normalisation keeps for prediction. Keras's default, 0.99, takes several hundred steps to
# forget the random start, and a small registry's epoch has fewer.
_MOMENTUM = 0.95


def erosion_cdf_network(
    side: int = 128,
    filters: Sequence[int] = (32, 32, 64, 64, 128, 128),
    dense: Sequence[int] = (512, 256),
    dropout: float = 0.5,
) -> keras.Model:
    """The convolutional network that predicts how much of a joint's surface is eroded, as a distribution.

    Each entry of `filters` is one block of two 3x3 convolutions, each followed by batch normalisation and ReLU, and a
    2x2 max-pooling that halves the side (an odd side is floored). Each entry of `dense` is a dense layer with batch
    normalisation, ReLU and dropout. The last layer has 101 sigmoids: the k-th is the probability that at most k per
    cent of the joint's surface is eroded. Nothing forces them to be monotone: `scoring.networks.readout` does that.

    The last layer computes in float32 under any mixed precision policy, because neighbouring probabilities differ by
    less than bfloat16 resolves.

    Args:
        side: Side of the square input image in pixels; at least `2 ** len(filters)`.
        filters: Number of filters of both convolutions of each block.
        dense: Units of each dense layer.
        dropout: Share of the units of each dense layer that is dropped while training.

    Returns:
        A functional `keras.Model`.

    Input shape:
        4D tensor `(batch_size, side, side, 1)`, grey levels from 0 (black) to 1 (white).

    Output shape:
        2D tensor `(batch_size, 101)`, float32, values in `[0, 1]`.

    Raises:
        ValueError: The image is too small for that many poolings.

    Example:
    >>> network = erosion_cdf_network(side=150, dense=(1024, 512))
    >>> network.count_params()
    1785605
    >>> network.output_shape
    (None, 101)

    Reference:

    - Rohrbach, Reinhard, Sick, Dürr (2019). Bone erosion scoring for rheumatoid arthritis with deep convolutional
      neural networks. Computers & Electrical Engineering 78:472-481.
    """
    if side >> len(filters) < 1:
        raise ValueError(f"{len(filters)} poolings leave nothing of {side} pixels; side must be >= {2 ** len(filters)}")
    inputs = keras.Input((side, side, 1), name="image")
    x = inputs
    for i, n_filters in enumerate(filters, start=1):
        for j in (1, 2):
            name = f"block{i}_conv{j}"
            x = layers.Conv2D(n_filters, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
            x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"block{i}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(dense, start=1):
        x = layers.Dense(units, kernel_initializer="he_normal", name=f"dense{i}")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"dense{i}_norm")(x)
        x = layers.ReLU(name=f"dense{i}_relu")(x)
        x = layers.Dropout(dropout, name=f"dense{i}_dropout")(x)
    outputs = layers.Dense(N_POINTS, activation="sigmoid", dtype="float32", name="cdf")(x)
    return keras.Model(inputs, outputs, name="erosion_cdf_network")


# What a manifest may name. A function is added here when a model built by it is to be stored.
ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {"erosion_cdf_network": erosion_cdf_network}


def build(architecture: str, arguments: dict[str, Any]) -> keras.Model:
    """Build the network that a manifest describes, with fresh weights.

    Args:
        architecture: A key of `ARCHITECTURES`.
        arguments: Its keyword arguments, as JSON gives them back.

    Raises:
        ValueError: No such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {architecture!r}; this code builds {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[architecture](**arguments)
