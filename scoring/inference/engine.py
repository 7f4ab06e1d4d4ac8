"""The interface of an inference engine, and what its implementations share."""

import math
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

DEFAULT_BATCH_SIZE = 128


class Engine(Protocol):
    """A loaded model, ready to predict. The result for an image does not depend on the other images of its batch.

    Attributes:
        name: Name in the rows of predictions: `openvino` or `tensorflow`.
        precision: Arithmetic precision: `float32` or `bfloat16`.
        side: Side of the network's square input in pixels.
    """

    name: str
    precision: str
    side: int

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict the distribution of erosion of each joint.

        Args:
            batch: float32 of shape `(n, side, side, 1)`, grey levels 0 to 1; any n.

        Returns:
            float32 of shape `(n, 101)`, the raw outputs of the network, not yet monotone.

        Raises:
            ValueError: The images have another shape.
        """


class FixedBatchEngine(ABC):
    """Runs a network of fixed batch size on any number of images.

    With a fixed shape, the kernels and the order of summation are always the same, so the result for an image does not
    depend on how many others are scored with it. The last batch is padded with black images.
    """

    side: int
    batch_size: int

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict distributions; see `Engine.predict`."""
        if batch.shape[1:] != (self.side, self.side, 1):
            raise ValueError(f"Expected images of shape (n, {self.side}, {self.side}, 1), got {batch.shape}.")
        cdf = np.empty((len(batch), 101), np.float32)
        for start in range(0, len(batch), self.batch_size):
            part = np.ascontiguousarray(batch[start : start + self.batch_size], dtype=np.float32)
            n = len(part)
            if n < self.batch_size:
                part = np.concatenate([part, np.zeros((self.batch_size - n, *part.shape[1:]), np.float32)])
            cdf[start : start + n] = self._run(part)[:n]
        return cdf

    @abstractmethod
    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `(batch_size, 101)` for `(batch_size, side, side, 1)`; the next call may overwrite the result."""


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
