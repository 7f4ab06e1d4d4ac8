"""The interface of an inference engine, and what its implementations share."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

DEFAULT_BATCH_SIZE = 128


class Engine(Protocol):
    """A loaded model, ready to predict. The same image gives the same bytes, whatever it is batched with."""

    @property
    def name(self) -> str:
        """As it stands in a prediction row: `openvino` or `tensorflow`."""

    @property
    def precision(self) -> str:
        """The arithmetic it uses: `float32` or `bfloat16`."""

    @property
    def side(self) -> int:
        """Side of the network's square input in pixels."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict the distribution of erosion.

        Args:
            batch: float32 of shape `(n, side, side, 1)`, grey levels 0 to 1; any n.

        Returns:
            float32 of shape `(n, 101)`, the network's sigmoids as they are: not yet monotone.
        """


def predict_in_batches(
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    batch: NDArray[np.float32],
    batch_size: int,
    side: int,
) -> NDArray[np.float32]:
    """Feed a network of fixed batch size with any number of images.

    A fixed shape means one choice of kernels and one order of summation, so that an image's result does not depend on
    how many others come with it.

    Args:
        run: Takes float32 `(batch_size, side, side, 1)` and returns `(batch_size, 101)`, which it may overwrite later.
        batch: float32 of shape `(n, side, side, 1)`.
        batch_size: Images a call; the last call is filled up with black ones, whose results are dropped.
        side: Side of an image in pixels.

    Returns:
        float32 of shape `(n, 101)`.

    Raises:
        ValueError: The batch has another shape.
    """
    if batch.shape[1:] != (side, side, 1):
        raise ValueError(f"expected images of shape (n, {side}, {side}, 1), got {batch.shape}")
    parts: list[NDArray[np.float32]] = []
    for start in range(0, len(batch), batch_size):
        part = np.ascontiguousarray(batch[start : start + batch_size], dtype=np.float32)
        n = len(part)
        if n < batch_size:
            part = np.concatenate([part, np.zeros((batch_size - n, side, side, 1), np.float32)])
        parts.append(np.array(run(part)[:n], dtype=np.float32))
    return np.concatenate(parts) if parts else np.empty((0, 101), np.float32)


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs that this process may really use: its affinity, and the quota of its container (cgroup v2 or v1)."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quota = _cgroup_quota(cgroup)
    return max(1, min(cpus, math.ceil(quota))) if quota else cpus


def _cgroup_quota(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in {"max", "-1"} else float(quota) / float(period)
