"""The interface of an inference engine, and functions that its implementations share."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

DEFAULT_BATCH_SIZE = 128


class Engine(Protocol):
    """A loaded model, ready to predict. The result for an image does not depend on the other images of its batch."""

    @property
    def name(self) -> str:
        """Name in the rows of predictions: `openvino` or `tensorflow`."""

    @property
    def precision(self) -> str:
        """Arithmetic precision: `float32` or `bfloat16`."""

    @property
    def side(self) -> int:
        """Side of the network's square input in pixels."""

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict the distribution of erosion of each joint.

        Args:
            batch: float32 of shape `(n, side, side, 1)`, grey levels 0 to 1; any n.

        Returns:
            float32 of shape `(n, 101)`, the raw outputs of the network, not yet monotone.
        """


def predict_in_batches(
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    batch: NDArray[np.float32],
    batch_size: int,
    side: int,
) -> NDArray[np.float32]:
    """Run a network of fixed batch size on any number of images.

    With a fixed shape, the kernels and the order of summation are always the same, so the result for an image does not
    depend on how many others are scored with it.

    Args:
        run: Takes float32 `(batch_size, side, side, 1)` and returns `(batch_size, 101)`, which it may overwrite later.
        batch: float32 of shape `(n, side, side, 1)`.
        batch_size: Images per call. The last call is padded with black images, whose results are dropped.
        side: Side of an image in pixels.

    Returns:
        float32 of shape `(n, 101)`.

    Raises:
        ValueError: The images have another shape.
    """
    if batch.shape[1:] != (side, side, 1):
        raise ValueError(f"Expected images of shape (n, {side}, {side}, 1), got {batch.shape}.")
    parts: list[NDArray[np.float32]] = []
    for start in range(0, len(batch), batch_size):
        part = np.ascontiguousarray(batch[start : start + batch_size], dtype=np.float32)
        n = len(part)
        if n < batch_size:
            part = np.concatenate([part, np.zeros((batch_size - n, side, side, 1), np.float32)])
        parts.append(np.array(run(part)[:n], dtype=np.float32))
    return np.concatenate(parts) if parts else np.empty((0, 101), np.float32)


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the number of CPUs available to this process: its affinity, limited by its cgroup quota (v2 or v1)."""
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
