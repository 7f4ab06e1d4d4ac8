"""The batches that a network is trained on: gathered from uint8 arrays and augmented."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scoring.networks.losses import cdf_target
from scoring.training.dataset import JointSet


class EpochBatches:
    """Makes the batches of all epochs: gathers, augments and pairs with targets, on the device that trains.

    The images stay on that device as uint8, 16 kB each, so a batch costs it a few milliseconds and the host nothing. A
    `tf.data` pipeline would prefetch on host threads that a machine of two cores does not have to spare.

    Args:
        recipe: The `scoring.training.fit.TrainingRecipe`.
        joints: The training set.
    """

    def __init__(self, recipe: Any, joints: JointSet) -> None:
        self._recipe = recipe
        self._pixels = tf.constant(joints.images)
        self._readings = tf.constant(joints.reading)
        self._make = tf.function(
            self._make_eagerly,
            input_signature=[tf.TensorSpec((recipe.batch_size,), tf.int64), tf.TensorSpec((2,), tf.int64)],
        )

    def epoch(self, order: NDArray[np.int64], number: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Batches of one epoch, full ones only.

        Args:
            order: Indices of the joints to show, in this order.
            number: Of the epoch; with the recipe's seed and the step it decides the augmentation.

        Yields:
            Images, float32 `(batch_size, side, side, 1)` within 0 to 1, and target distributions, float32
            `(batch_size, 101)`.
        """
        size = self._recipe.batch_size
        for step in range(len(order) // size):
            seed = np.array([self._recipe.seed * 100_003 + number, step], np.int64)
            yield self._make(tf.constant(order[step * size : (step + 1) * size]), tf.constant(seed))

    def _make_eagerly(self, index: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.cast(tf.gather(self._pixels, index), tf.float32)[..., tf.newaxis] / 255.0
        return augment(images, seed, self._recipe), cdf_target(tf.gather(self._readings, index))


def augment(images: tf.Tensor, seed: tf.Tensor, recipe: Any) -> tf.Tensor:
    """Turn, zoom, shift, mirror and re-expose each image by its own random amount.

    Args:
        images: float32 `(n, side, side, 1)` within 0 to 1.
        seed: int64 `(2,)`; the same seed gives the same result.
        recipe: The `scoring.training.fit.TrainingRecipe` with the largest amounts.

    Returns:
        Same shape and range. What a turn or shift brings in from outside repeats the nearest pixel.
    """
    n, side = tf.shape(images)[0], images.shape[1]
    draws = tf.random.stateless_uniform((8, n), seed, -1.0, 1.0)
    angle = draws[0] * math.radians(recipe.rotation)
    size = tf.exp(draws[1] * math.log1p(recipe.zoom))
    mirror = tf.where((draws[2] < 0) & recipe.mirror, -1.0, 1.0)
    shift_x, shift_y = draws[3] * recipe.shift * side, draws[4] * recipe.shift * side
    # Rows of the inverse map, output pixel to input pixel, about the image's centre.
    centre = (side - 1) / 2
    a0, a1 = tf.cos(angle) * size * mirror, -tf.sin(angle) * size
    b0, b1 = tf.sin(angle) * size * mirror, tf.cos(angle) * size
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
    contrast = _per_image(1 + draws[5] * recipe.contrast)
    brightness = _per_image(draws[6] * recipe.brightness)
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return tf.clip_by_value((images - mean) * contrast + mean + brightness, 0.0, 1.0)


def _per_image(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, (-1, 1, 1, 1))
