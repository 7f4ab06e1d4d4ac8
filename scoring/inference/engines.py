"""What runs the network: TensorFlow where there is a GPU, OpenVINO on the CPU, behind one small interface."""

import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.networks.stored import StoredModel

logger = logging.getLogger(__name__)

EngineSetting = Literal["auto", "openvino", "tensorflow"]

# Two engines may differ by this much on any joint: the distribution function by 0.02 (a probability), the expected
# erosion by 0.5 per cent of the joint's surface, a tenth of the step in which readers read.
CDF_TOLERANCE = 0.02
EROSION_TOLERANCE = 0.5

DEFAULT_BATCH_SIZE = 128

# Where a graphics card shows itself: NVIDIA's driver, WSL's bridge to it, AMD's driver.
_DEVICE_PATTERNS = ("nvidia[0-9]*", "nvidiactl", "dxg", "kfd")


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


def choose_engine(setting: EngineSetting, model: StoredModel, batch_size: int = DEFAULT_BATCH_SIZE) -> Engine:
    """Load a model into the engine that the setting asks for.

    Args:
        setting: `auto` takes TensorFlow if it sees a GPU, else OpenVINO. TensorFlow is not even imported, which costs
            10 to 20 seconds, unless it is asked for or a device file says that a GPU may be there.
        model: The checked model.
        batch_size: Images that the network sees at once; a shorter rest is padded.

    Raises:
        ModelRefused: The engine cannot load the model's files.
    """
    name = setting
    if setting == "auto":
        name = "tensorflow" if gpu_may_be_there() and _tensorflow_sees_gpu() else "openvino"
    logger.info("engine_chosen engine=%s setting=%s model=%s", name, setting, model.version)
    if name == "tensorflow":
        from scoring.inference.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(model, batch_size)
    from scoring.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(model, batch_size)


def gpu_may_be_there(environ: Mapping[str, str] | None = None, dev: Path = Path("/dev")) -> bool:
    """Whether it is worth asking TensorFlow for a GPU: a device file exists and is not hidden from this process."""
    visible = (os.environ if environ is None else environ).get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.split(",")[0].strip() in {"", "-1"}:
        return False
    return any(True for pattern in _DEVICE_PATTERNS for _ in dev.glob(pattern))


def _tensorflow_sees_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


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
