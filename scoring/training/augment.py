"""The batches that a network is trained on: gathered from uint8 arrays and augmented."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scoring.networks.losses import cdf_target
from scoring.training.data.joint_set import JointSet
from scoring.training.recipes import TrainingRecipe


class EpochBatches:
    """Makes the batches of all epochs on the training device: gathers, augments and pairs images with targets.

    The images stay on that device as uint8, 16 kB each, so that a batch takes milliseconds there and none on the host.
    A `tf.data` pipeline would prefetch on host threads, which a machine with two cores cannot spare.
    """

    def __init__(self, recipe: TrainingRecipe, joints: JointSet) -> None:
        self._recipe = recipe
        self._pixels = tf.constant(joints.images)
        self._readings = tf.constant(joints.reading)
        weights = class_weights(joints.grades) if recipe.class_weights else np.ones(len(joints), np.float32)
        self._weights = tf.constant(weights)
        specs = [((recipe.batch_size,), tf.int64), ((recipe.batch_size,), tf.float32), ((2,), tf.int64)]
        self._make = tf.function(self._make_eagerly, input_signature=[tf.TensorSpec(*spec) for spec in specs])

    def epoch(self, order: NDArray[np.int64], number: int) -> Iterator[tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """Yield the full batches of one epoch, for indices of joints in the order in which they are shown.

        The number of the epoch seeds the augmentation, with the recipe's seed and the step.

        Yields:
            Images, `(batch_size, side, side, 1)` within 0 to 1, target distributions, `(batch_size, 101)`, and sample
            weights, `(batch_size,)`, all float32.
        """
        size = self._recipe.batch_size
        amount = _repeated(order) if self._recipe.augment_repeats_only else np.ones(len(order), np.float32)
        for step in range(len(order) // size):
            seed = np.array([self._recipe.seed * 100_003 + number, step], np.int64)
            batch = slice(step * size, (step + 1) * size)
            yield self._make(tf.constant(order[batch]), tf.constant(amount[batch]), tf.constant(seed))

    def _make_eagerly(
        self, index: tf.Tensor, amount: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        images = tf.cast(tf.gather(self._pixels, index), tf.float32)[..., tf.newaxis] / 255.0
        if self._recipe.stretch:
            images = stretch(images)
        target = cdf_target(tf.gather(self._readings, index))
        return augment(images, seed, self._recipe, amount), target, tf.gather(self._weights, index)


def _repeated(order: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return 1 where a joint was already shown in this epoch, else 0."""
    repeated = np.ones(len(order), np.float32)
    repeated[np.unique(order, return_index=True)[1]] = 0
    return repeated


def class_weights(grades: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return sample weights with which all grades have the same total weight and the mean is 1, float32 `(n,)`.

    As in the thesis, the weight of a grade is inversely proportional to the number of its joints.
    """
    counts = np.bincount(grades)
    return (len(grades) / (np.count_nonzero(counts) * counts[grades])).astype(np.float32)


def stretch(images: Any) -> Any:
    """Map the darkest pixel of each image `(n, side, side, 1)` to 0 and the lightest to 1.

    A uniform image becomes black. The thesis calls it histogram equalisation.
    """
    low, high = (reduce(images, axis=(1, 2, 3), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return (images - low) / tf.maximum(high - low, 1e-6)


def augment(images: tf.Tensor, seed: tf.Tensor, recipe: TrainingRecipe, amount: Any = 1.0) -> tf.Tensor:
    """Rotate, shear, zoom, shift, mirror and re-expose each image by its own random amount, up to that of the recipe.

    The images are float32 `(n, side, side, 1)` within 0 to 1, before and after. Pixels from outside an image repeat the
    nearest one inside. The same `seed`, int64 `(2,)`, gives the same result. `amount` is 1 to augment an image and 0 to
    keep it, scalar or float32 `(n,)`.
    """
    n, side = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform((8, n), seed, -1.0, 1.0) * amount
    angle = draws[0] * math.radians(recipe.rotation)
    size = tf.exp(draws[1] * math.log1p(recipe.zoom))
    mirror = tf.where((draws[2] < 0) & recipe.mirror, -1.0, 1.0)
    sheared = angle + draws[7] * recipe.shear
    shift_x, shift_y = draws[3] * recipe.shift * side, draws[4] * recipe.shift * side
    # Rows of the inverse map, output pixel to input pixel, about the image's centre.
    centre = (side - 1) / 2
    a0, a1 = tf.cos(angle) * size * mirror, -tf.sin(sheared) * size
    b0, b1 = tf.sin(angle) * size * mirror, tf.cos(sheared) * size
    a2 = centre + shift_x - (a0 + a1) * centre
    b2 = centre + shift_y - (b0 + b1) * centre
    zero = tf.zeros_like(angle)
    images = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1),
        output_shape=tf.constant([side, side]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    contrast = (1 + draws[5] * recipe.contrast)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    brightness = (draws[6] * recipe.brightness)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return tf.clip_by_value((images - mean) * contrast + mean + brightness, 0.0, 1.0)
