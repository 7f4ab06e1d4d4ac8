"""Networks, in keras alone: a joint image in, the distribution of its erosion out."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from scoring.networks.heads import add_head

# Of the averages that batch normalisation keeps for prediction. Keras's default, 0.99, takes several hundred steps to
# forget the random start, and a small registry's epoch has fewer.
_MOMENTUM = 0.95


def erosion_cdf_network(
    *,
    side: int = 128,
    filters: Sequence[int] = (32, 32, 64, 64, 128, 128),
    dense: Sequence[int] = (512, 256),
    dropout: float = 0.5,
    head: str = "sigmoids",
    shrink: int = 1,
) -> keras.Model:
    """The convolutional network of the thesis, which predicts how much of a joint's surface is eroded.

    Each entry of `filters` is one block of two 3x3 convolutions, each followed by batch normalisation and ReLU, and a
    2x2 max-pooling that halves the side (an odd side is floored). Each entry of `dense` is a dense layer with batch
    normalisation, ReLU and dropout. The head makes a distribution function of the last features: with `sigmoids`, the
    thesis's regression, the k-th of 101 sigmoids is the probability that at most k per cent of the joint's surface is
    eroded, and nothing forces them to be monotone (`scoring.networks.readout` does that); with `grades` it is the
    thesis's classification.

    Args:
        side: Side of the square input image in pixels; at least `shrink * 2 ** len(filters)`.
        filters: Number of filters of both convolutions of each block.
        dense: Units of each dense layer.
        dropout: Share of the units of each dense layer that is dropped while training.
        head: A key of `scoring.networks.heads.HEADS`.
        shrink: The image is averaged over squares of this side first; 2 costs a quarter of the arithmetic.

    Returns:
        A functional `keras.Model`.

    Input shape:
        4D tensor `(batch_size, side, side, 1)`, grey levels from 0 (black) to 1 (white).

    Output shape:
        2D tensor `(batch_size, 101)`, float32, values in `[0, 1]`.

    Raises:
        ValueError: The image is too small for that many poolings, or there is no such head.

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
    inputs, x = _image(side, shrink, len(filters))
    for i, n_filters in enumerate(filters, start=1):
        for j in (1, 2):
            x = _convolution(x, n_filters, f"block{i}_conv{j}")
        x = layers.MaxPooling2D(2, name=f"block{i}_pool")(x)
    x = _dense_layers(layers.Flatten(name="flatten")(x), dense, dropout)
    return keras.Model(inputs, add_head(head, x), name="erosion_cdf_network")


def residual_network(
    *,
    side: int = 128,
    stages: Sequence[tuple[int, int]] = ((32, 1), (64, 1), (128, 1), (192, 1)),
    dense: Sequence[int] = (256,),
    dropout: float = 0.3,
    head: str = "grid",
    shrink: int = 1,
) -> keras.Model:
    """A small residual network with anti-aliased pooling.

    A stage halves the side by averaging, which keeps a shift of one pixel from changing what is passed on (Zhang 2019),
    and then adds what two 3x3 convolutions make of its input to the input (He et al. 2016). What remains is averaged
    over the whole image: an erosion counts the same wherever it lies.

    Args:
        side: Side of the square input image in pixels; at least `shrink * 2 ** len(stages)`.
        stages: Filters and number of residual blocks of each stage.
        dense: Units of each dense layer behind the average.
        dropout: Share of the units of each dense layer that is dropped while training.
        head: A key of `scoring.networks.heads.HEADS`.
        shrink: The image is averaged over squares of this side first.

    Returns:
        A functional `keras.Model`.

    Input shape:
        4D tensor `(batch_size, side, side, 1)`, grey levels from 0 (black) to 1 (white).

    Output shape:
        2D tensor `(batch_size, 101)`, float32, values in `[0, 1]`.

    Raises:
        ValueError: The image is too small for that many poolings, or there is no such head.

    Reference:

    - He, Zhang, Ren, Sun (2016). Deep residual learning for image recognition. CVPR.
    - Zhang (2019). Making convolutional networks shift-invariant again. ICML.
    """
    inputs, x = _image(side, shrink, len(stages))
    x = _convolution(x, stages[0][0], "stem")
    for i, (n_filters, n_blocks) in enumerate(stages, start=1):
        # The change of width is a convolution of its own, so that the sums need no projection.
        x = _convolution(x, n_filters, f"stage{i}_width")
        x = layers.AveragePooling2D(2, name=f"stage{i}_pool")(x)
        for j in range(1, n_blocks + 1):
            name = f"stage{i}_block{j}"
            y = _convolution(x, n_filters, f"{name}_conv1")
            y = _convolution(y, n_filters, f"{name}_conv2", relu=False)
            x = layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))
    x = _dense_layers(layers.GlobalAveragePooling2D(name="average")(x), dense, dropout)
    return keras.Model(inputs, add_head(head, x), name="residual_network")


def inception_network(
    *,
    side: int = 128,
    dense: Sequence[int] = (1024, 512),
    dropout: float = 0.5,
    head: str = "sigmoids",
    weights: str | None = None,
    seen_side: int | None = None,
) -> keras.Model:
    """InceptionV3 with the thesis's dense layers in place of its own: the thesis's transfer learning.

    The grey image is repeated over three channels and brought to -1..1, as the network was trained on.

    Args:
        side: Side of the square input image in pixels.
        dense: Units of each dense layer.
        dropout: Share of the units of each dense layer that is dropped while training.
        head: A key of `scoring.networks.heads.HEADS`.
        weights: Weights of the convolutions to begin with: a file as Keras writes it for InceptionV3 without top, the
            word `imagenet` (Keras downloads them), or None for fresh ones.
        seen_side: The image is resized to this side first, at least 75; None leaves it as it is.

    Returns:
        A functional `keras.Model` whose layer `inception_v3` holds all that was trained before.

    Input shape:
        4D tensor `(batch_size, side, side, 1)`, grey levels from 0 (black) to 1 (white).

    Output shape:
        2D tensor `(batch_size, 101)`, float32, values in `[0, 1]`.

    Raises:
        ValueError: The image is smaller than 75 pixels, the weights do not fit, or there is no such head.
        OSError: The file of weights cannot be read, or there is no network to download them.

    Reference:

    - Szegedy, Vanhoucke, Ioffe, Shlens, Wojna (2016). Rethinking the Inception architecture for computer vision. CVPR.
    """
    seen = seen_side or side
    inputs = keras.Input((side, side, 1), name="image")
    x = layers.Resizing(seen, seen, name="resize")(inputs) if seen != side else inputs
    x = layers.Concatenate(name="rgb")([x, x, x])
    x = layers.Rescaling(2.0, offset=-1.0, name="rescale")(x)
    x = _dense_layers(_inception_v3(seen, weights)(x), dense, dropout)
    return keras.Model(inputs, add_head(head, x), name="inception_network")


TRANSFERRED = "inception_v3"
"""Name of the layer that transfer learning freezes at first."""


def _inception_v3(side: int, weights: str | None) -> keras.Model:
    """InceptionV3 without its top. What Keras says of weights that it cannot have is put in one sentence."""
    try:
        return keras.applications.InceptionV3(
            include_top=False, weights=weights, input_shape=(side, side, 3), pooling="avg", name=TRANSFERRED
        )
    except ValueError as error:
        if weights is None:
            raise
        first = str(error).splitlines()[0]
        raise ValueError(f"the weights {weights} are not those of InceptionV3 without top: {first}") from error
    except OSError as error:
        raise OSError(f"the weights {weights} cannot be read: {error}") from error
    except Exception as error:
        # What fails while Keras downloads is of no class of its own.
        if weights != "imagenet":
            raise
        raise OSError(
            f"the weights {weights} cannot be downloaded: {error}; without a network, name Keras's file, "
            "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
        ) from error


def _image(side: int, shrink: int, n_poolings: int) -> tuple[Any, Any]:
    """The input, and what the first layer sees of it."""
    if side // shrink >> n_poolings < 1:
        needed = shrink * 2**n_poolings
        raise ValueError(f"{n_poolings} poolings leave nothing of {side} pixels; side must be >= {needed}")
    inputs = keras.Input((side, side, 1), name="image")
    return inputs, layers.AveragePooling2D(shrink, name="shrink")(inputs) if shrink > 1 else inputs


def _convolution(x: Any, n_filters: int, name: str, *, relu: bool = True) -> Any:
    x = layers.Conv2D(n_filters, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _dense_layers(x: Any, dense: Sequence[int], dropout: float) -> Any:
    for i, units in enumerate(dense, start=1):
        x = layers.Dense(units, kernel_initializer="he_normal", name=f"dense{i}")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"dense{i}_norm")(x)
        x = layers.ReLU(name=f"dense{i}_relu")(x)
        x = layers.Dropout(dropout, name=f"dense{i}_dropout")(x)
    return x


# What a manifest may name. A function is added here when a model built by it is to be stored.
ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "erosion_cdf_network": erosion_cdf_network,
    "residual_network": residual_network,
    "inception_network": inception_network,
}


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
