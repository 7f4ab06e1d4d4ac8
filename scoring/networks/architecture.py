"""Network architectures, in keras alone: a joint image as input, the distribution of its erosion as output.

All networks have the same shapes:

- Input: 4D tensor `(batch_size, side, side, 1)`, grey levels from 0 (black) to 1 (white).
- Output: 2D tensor `(batch_size, 101)`, float32, values in `[0, 1]`; see `scoring.networks.heads`.

They share these arguments:

- side: Side of the square input image in pixels.
- dense: Units of each dense layer.
- dropout: Dropout rate of the dense layers.
- head: A key of `scoring.networks.heads.HEADS`.
- shrink (not of `inception_network`): The image is first averaged over squares of this side; 2 needs a quarter of the
  computation.

Every network raises a ValueError if the image is too small for its poolings or the head is unknown.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from scoring.networks.heads import add_head

# For the moving averages of batch normalisation. With the default of Keras, 0.99, the random start is forgotten after
# several hundred steps, more than an epoch of a small registry has.
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
    """Build the convolutional network of the thesis.

    Each entry of `filters` is one block: two 3x3 convolutions with that many filters, each with batch normalisation and
    ReLU, and a 2x2 max-pooling that halves the side (rounded down). Each entry of `dense` is a dense layer with batch
    normalisation, ReLU and dropout. The head `sigmoids` is the regression of the thesis: the k-th of 101 sigmoids is
    the probability that at most k percent of the joint surface is eroded, not yet monotone. The head `grades` is its
    classification.

    Source: Rohrbach, Reinhard, Sick, Dürr, Comput Electr Eng 2019;78:472-481.
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
    """Build a small residual network with anti-aliased pooling.

    Each entry of `stages` is the number of filters and of residual blocks of one stage. A stage halves the side by
    averaging, so that a shift by one pixel changes little (Zhang, Making convolutional networks shift-invariant again,
    ICML 2019). Then each block adds the output of two 3x3 convolutions to its input (He, Zhang, Ren, Sun, Deep residual
    learning for image recognition, CVPR 2016). The result is averaged over the whole image, so the position of an
    erosion does not matter.
    """
    inputs, x = _image(side, shrink, len(stages))
    x = _convolution(x, stages[0][0], "stem")
    for i, (n_filters, n_blocks) in enumerate(stages, start=1):
        # A separate convolution changes the width, so that the sums need no projection.
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
    """Build InceptionV3 with the dense layers of the thesis, for transfer learning.

    The grey image is repeated over three channels and scaled to -1..1, the input that InceptionV3 was trained on. The
    layer `TRANSFERRED` contains all pretrained layers. Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, Rethinking the
    Inception architecture for computer vision, CVPR 2016.

    `weights` initialises the convolutions: a file that Keras wrote for InceptionV3 without top, `imagenet` (Keras
    downloads it), or None for random weights. The image is first resized to `seen_side`, at least 75; None keeps its
    size.

    Raises:
        ValueError: The image is smaller than 75 pixels, the weights do not fit, or the head is unknown.
        OSError: The file of weights cannot be read or downloaded.
    """
    seen = seen_side or side
    inputs = keras.Input((side, side, 1), name="image")
    x = layers.Resizing(seen, seen, name="resize")(inputs) if seen != side else inputs
    x = layers.Concatenate(name="rgb")([x, x, x])
    x = layers.Rescaling(2.0, offset=-1.0, name="rescale")(x)
    x = _dense_layers(_inception_v3(seen, weights)(x), dense, dropout)
    return keras.Model(inputs, add_head(head, x), name="inception_network")


TRANSFERRED = "inception_v3"
"""Name of the layer that transfer learning freezes in its first phase."""


def _inception_v3(side: int, weights: str | None) -> keras.Model:
    """Build InceptionV3 without its top; turn every error about its weights into one clear message."""
    try:
        return keras.applications.InceptionV3(
            include_top=False, weights=weights, input_shape=(side, side, 3), pooling="avg", name=TRANSFERRED
        )
    except ValueError as error:
        if weights is None:
            raise
        reason = str(error).splitlines()[0]
        raise ValueError(f"The weights {weights} are not those of InceptionV3 without top ({reason}).") from error
    except OSError as error:
        raise OSError(f"The weights {weights} cannot be read: {error}") from error
    except Exception as error:
        # Errors of a download by Keras have no class of their own.
        if weights != "imagenet":
            raise
        raise OSError(
            f"The weights {weights} cannot be downloaded: {error}. Without internet access, give the file "
            "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 of Keras."
        ) from error


def _image(side: int, shrink: int, n_poolings: int) -> tuple[Any, Any]:
    """Return the input tensor and the tensor for the first layer."""
    if side // shrink >> n_poolings < 1:
        needed = shrink * 2**n_poolings
        raise ValueError(f"{side} pixels are too few for {n_poolings} poolings; side must be >= {needed}.")
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


ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "erosion_cdf_network": erosion_cdf_network,
    "residual_network": residual_network,
    "inception_network": inception_network,
}
"""Architectures that a manifest may name; every stored model needs one of them."""


def build(architecture: str, arguments: dict[str, Any]) -> keras.Model:
    """Build the network described by a manifest, with random weights.

    Raises:
        ValueError: The architecture is unknown.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"Unknown architecture {architecture!r}. Use one of {', '.join(sorted(ARCHITECTURES))}.")
    return ARCHITECTURES[architecture](**arguments)
