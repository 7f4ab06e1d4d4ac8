"""Training on two devices, in a process of its own: TensorFlow divides its CPU in two before it is used at all."""

import json
import subprocess
import sys

import pytest

from scoring.training.devices import precision_for, sharing

TRAINED_ON = """
import json, sys
from dataclasses import replace

import numpy as np
import tensorflow as tf

n_devices, work_dir = int(sys.argv[1]), sys.argv[2]
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n_devices)

from scoring.networks.weights import get_weights
from scoring.training import devices, fit
from scoring.training.data.joint_set import JointSet

devices.visible_gpus = lambda: [device.name for device in tf.config.list_logical_devices("CPU")]
rng = np.random.default_rng(0)
reading = rng.choice([0, 0, 10, 30, 50, 70, 90], 96).astype(np.float32)
images = rng.integers(0, 40, (96, 16, 16), dtype=np.uint8)
for image, percent in zip(images, reading, strict=True):
    image[: round(percent * 0.16)] = 200
names = np.array([f"{i // 4:05d}" for i in range(96)])
joints = JointSet(images, reading, reading, names, names, names, np.full(96, 2016))
parts = joints.take(np.arange(64)), joints.take(np.arange(64, 96))
recipe = fit.TrainingRecipe(
    epochs=1, batch_size=16, learning_rate=0.003, warmup_steps=0, precision="float32", average=0.5, seed=3,
    architecture="residual_network", loss="grid_crossentropy",
    arguments={"side": 16, "stages": [[4, 1], [8, 1]], "dense": [], "dropout": 0.0, "head": "grid"},
)
seen = []
split = devices.divided
def divided(batch, strategy):
    made = split(batch, strategy)
    seen.append([len(part) for part in strategy.experimental_local_results(made[0])])
    return made
devices.divided = divided
class PowerCut(Exception):
    pass
def cut(epoch):
    raise PowerCut
longer = replace(recipe, epochs=3)
try:
    fit.train(longer, *parts, work_dir=fit.Path(work_dir), on_epoch=cut)
except PowerCut:
    pass
resumed = fit.train(longer, *parts, work_dir=fit.Path(work_dir))
straight = fit.train(longer, *parts)
one = {name: values.tolist() for name, values in get_weights(resumed.network).items()}
other = {name: values.tolist() for name, values in get_weights(straight.network).items()}
print(json.dumps({
    "seen": seen[0],
    "losses": [epoch.loss for epoch in straight.history],
    "answers": list(fit.predict(straight.network, parts[1].images).shape),
    "resumed_is_straight": one == other,
}))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    def on(n_devices):
        folder = tmp_path_factory.mktemp("training")
        command = [sys.executable, "-c", TRAINED_ON, str(n_devices), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return {n: on(n) for n in (1, 2)}


@pytest.mark.slow
def test_two_devices_share_every_batch(trained):
    assert trained[1]["seen"] == [16]
    assert trained[2]["seen"] == [8, 8]


@pytest.mark.slow
def test_two_devices_learn_what_one_learns(trained):
    """Batch normalisation sees eight joints instead of sixteen, so the losses are alike and not equal."""
    assert trained[2]["losses"] == pytest.approx(trained[1]["losses"], rel=0.1)
    assert trained[2]["losses"][-1] < trained[2]["losses"][0]


def test_every_joint_is_answered_once(trained):
    assert trained[2]["answers"] == [32, 101]


def test_a_stopped_training_on_two_devices_goes_on_as_if_it_had_not_been(trained):
    assert trained[1]["resumed_is_straight"]
    assert trained[2]["resumed_is_straight"]


@pytest.mark.parametrize(("n_gpus", "n"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (7, 4)])
def test_as_many_devices_as_divide_the_batch(n_gpus, n):
    assert sharing(n_gpus, 32) == n


@pytest.mark.parametrize(
    ("asked", "n_gpus", "cpu_has_bfloat16", "taken"),
    [
        ("mixed_bfloat16", 0, True, "mixed_bfloat16"),
        ("mixed_bfloat16", 0, False, "float32"),
        ("mixed_bfloat16", 1, False, "mixed_bfloat16"),
        ("float32", 0, True, "float32"),
    ],
)
def test_a_processor_is_not_made_to_imitate_bfloat16(asked, n_gpus, cpu_has_bfloat16, taken):
    assert precision_for(asked, n_gpus=n_gpus, cpu_has_bfloat16=cpu_has_bfloat16) == taken
