"""Training on two devices, in a process of its own: TensorFlow divides its CPU before it is used for the first time."""

import pytest

from scoring.training.devices import n_sharing, precision_for
from tests.lib.processes import run_in_process

TRAINING = """
import json, sys
from pathlib import Path

import numpy as np
import tensorflow as tf

# A replica that waits for the others occupies a thread.
tf.config.threading.set_inter_op_parallelism_threads(4)
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from scoring.networks.weights import get_weights
from scoring.progress import no_progress
from scoring.training import devices, fit
from scoring.training.recipes import TrainingRecipe
from tests.lib.joint_sets import bar_joints

cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
parts = bar_joints(side=8, n=96)
training, validation = parts["train"], parts["validation"]
recipe = TrainingRecipe(
    epochs=2, batch_size=16, learning_rate=0.003, warmup_steps=0, precision="float32", average=0.5, seed=3,
    loss="grid_crossentropy", arguments={"side": 8, "filters": [], "dense": [8], "dropout": 0.0, "head": "grid"},
)
parts_of_batches = []
split_batch = devices.split_batch
def noted(batch, strategy):
    made = split_batch(batch, strategy)
    parts_of_batches.append([len(part) for part in strategy.experimental_local_results(made[0])])
    return made
devices.split_batch = noted

def trained_on(n_devices):
    devices.visible_gpus = lambda: cpus[:n_devices]
    return fit.train(recipe, training, validation)

one, two = trained_on(1), trained_on(2)
strategy = devices.strategy_for(cpus, recipe.batch_size)
with strategy.scope():
    stopped = fit.TrainingRun(recipe, training, validation, strategy, work_dir=Path(sys.argv[1]))
    stopped.run_epoch(no_progress)
resumed = fit.train(recipe, training, validation, work_dir=Path(sys.argv[1]))
weights, expected = get_weights(resumed.network), get_weights(two.network)
print(json.dumps({
    "parts_of_batches": [parts_of_batches[0], parts_of_batches[-1]],
    "losses": [[epoch.loss for epoch in trained.history] for trained in (one, two)],
    "n_joints": len(validation),
    "predictions": fit.predict(two.network, validation.images).shape,
    "resumed_is_equal": all(bool((weights[name] == expected[name]).all()) for name in expected),
}))
"""


@pytest.mark.slow
def test_train_on_two_devices_equals_one_device_and_resumes(tmp_path):
    found = run_in_process(TRAINING, tmp_path, timeout=400)
    assert found["parts_of_batches"] == [[16], [8, 8]]
    # Batch normalisation sees 8 joints instead of 16, so the losses are close but not equal.
    one, two = found["losses"]
    assert two == pytest.approx(one, rel=0.1)
    assert two[-1] < two[0]
    assert found["predictions"] == [found["n_joints"], 101]
    assert found["resumed_is_equal"]


@pytest.mark.parametrize(("n_gpus", "n"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (7, 4)])
def test_n_sharing_is_the_largest_divisor_of_the_batch(n_gpus, n):
    assert n_sharing(n_gpus, 32) == n


@pytest.mark.parametrize(
    ("requested", "n_gpus", "cpu_has_bfloat16", "precision"),
    [
        ("mixed_bfloat16", 0, True, "mixed_bfloat16"),
        ("mixed_bfloat16", 0, False, "float32"),
        ("mixed_bfloat16", 1, False, "mixed_bfloat16"),
        ("float32", 0, True, "float32"),
    ],
)
def test_precision_for_avoids_emulated_bfloat16(requested, n_gpus, cpu_has_bfloat16, precision):
    assert precision_for(requested, n_gpus=n_gpus, cpu_has_bfloat16=cpu_has_bfloat16) == precision
