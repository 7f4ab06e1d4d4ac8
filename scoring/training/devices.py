"""The devices of a training, one GPU, several that share every batch, or a CPU, and their precision."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow may use; `CUDA_VISIBLE_DEVICES` hides some."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def n_sharing(n_gpus: int, batch_size: int) -> int:
    """Return how many devices share a batch: as many as divide it evenly, at least one."""
    return max((n for n in range(1, n_gpus + 1) if batch_size % n == 0), default=1)


def strategy_for(gpus: Sequence[str], batch_size: int) -> tf.distribute.Strategy:
    """Return TensorFlow's default strategy for at most one GPU, else a mirrored one that splits every batch.

    All replicas take the same step, from the mean of all gradients. Batch normalisation sees only its own part of the
    batch, so the weights differ slightly from those of one device.
    """
    n = n_sharing(len(gpus), batch_size)
    return tf.distribute.MirroredStrategy(list(gpus[:n])) if n > 1 else tf.distribute.get_strategy()


def precision_for(requested: str, *, n_gpus: int, cpu_has_bfloat16: bool) -> str:
    """Return the Keras policy to train with: the requested one, or float32 on a CPU that only emulates bfloat16.

    Emulated bfloat16 is many times slower than float32 (`tests/benchmarks/test_training.py`).
    """
    return "float32" if "bfloat16" in requested and not n_gpus and not cpu_has_bfloat16 else requested


def split_batch(batch: Sequence[tf.Tensor], strategy: tf.distribute.Strategy) -> tuple[Any, ...]:
    """Split the tensors of a batch into equal parts for the replicas of a strategy, in order."""
    n = strategy.num_replicas_in_sync
    if n == 1:
        return tuple(batch)
    parts = [tf.split(values, n) for values in batch]
    return tuple(
        strategy.experimental_distribute_values_from_function(
            lambda replica, of=of: of[replica.replica_id_in_sync_group]
        )
        for of in parts
    )
