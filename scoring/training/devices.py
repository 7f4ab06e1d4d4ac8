"""What trains: one GPU or several, which share every batch, or a processor; and the arithmetic that suits it."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def visible_gpus() -> list[str]:
    """Names of the GPUs that TensorFlow may use; `CUDA_VISIBLE_DEVICES` hides some."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def sharing(n_gpus: int, batch_size: int) -> int:
    """How many devices share a batch: as many as divide it evenly, at least one."""
    return max((n for n in range(1, n_gpus + 1) if batch_size % n == 0), default=1)


def strategy_for(gpus: Sequence[str], batch_size: int) -> tf.distribute.Strategy:
    """TensorFlow's default on at most one GPU; else a mirror of the network on each that shares a batch.

    Every mirror takes the same step, from the mean of all gradients. Batch normalisation sees its own part of the batch
    only, so the weights differ a little from those of one device.

    Args:
        gpus: Names of logical devices.
        batch_size: Joints a step.
    """
    n = sharing(len(gpus), batch_size)
    return tf.distribute.MirroredStrategy(list(gpus[:n])) if n > 1 else tf.distribute.get_strategy()


def precision_for(asked: str, *, n_gpus: int, cpu_has_bfloat16: bool) -> str:
    """The Keras policy to train under: the one asked for, or float32 on a processor that would only imitate bfloat16.

    Imitated, it is many times slower than float32 (`tests/benchmarks/test_training.py`).
    """
    return "float32" if "bfloat16" in asked and not n_gpus and not cpu_has_bfloat16 else asked


def divided(batch: Sequence[tf.Tensor], strategy: tf.distribute.Strategy) -> tuple[Any, ...]:
    """The tensors of a batch as the strategy's mirrors take them: an equal part each, in order."""
    n = strategy.num_replicas_in_sync
    if n == 1:
        return tuple(batch)
    parts = [tf.split(values, n) for values in batch]
    return tuple(
        strategy.experimental_distribute_values_from_function(lambda mirror, of=of: of[mirror.replica_id_in_sync_group])
        for of in parts
    )
