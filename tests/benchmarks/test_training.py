"""Joints per second in training by the shipped recipe, by precision and with XLA. Run by `make bench`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scoring.inference.engine import available_cpus
from scoring.networks.architecture import build
from scoring.networks.losses import LOSSES, cdf_target
from scoring.training.recipes import BEST, recipe_named

pytestmark = pytest.mark.slow

STEPS = 20


@pytest.mark.parametrize(
    ("precision", "xla"), [("float32", False), ("mixed_bfloat16", False), ("mixed_bfloat16", True)]
)
def test_train_on_batch_of_the_shipped_recipe(benchmark, precision, xla):
    recipe = recipe_named(BEST, seed=1)
    keras.mixed_precision.set_dtype_policy(precision)
    try:
        network = build(recipe.architecture, dict(recipe.arguments))
        network.compile(keras.optimizers.AdamW(1e-3), loss=LOSSES[recipe.loss], jit_compile=xla)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    images = tf.constant(rng.random((recipe.batch_size, 128, 128, 1), dtype=np.float32))
    target = cdf_target(rng.choice([0.0, 5.0, 50.0], recipe.batch_size))

    def steps():
        return [float(network.train_on_batch(images, target)) for _ in range(STEPS)]

    losses = benchmark.pedantic(steps, rounds=3, warmup_rounds=1)
    benchmark.extra_info["joints_per_second"] = round(STEPS * recipe.batch_size / benchmark.stats["median"])
    benchmark.extra_info["cpus"] = available_cpus()
    assert np.isfinite(losses).all()
