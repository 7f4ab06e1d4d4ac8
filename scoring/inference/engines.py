"""Choice of the engine: TensorFlow on a GPU, OpenVINO on a CPU. Importing this module loads neither."""

import logging
import os
from pathlib import Path
from typing import Literal

from scoring.inference.engine import DEFAULT_BATCH_SIZE, Engine
from scoring.model_store.stored_model import StoredModel

logger = logging.getLogger(__name__)

EngineSetting = Literal["auto", "openvino", "tensorflow"]

CDF_TOLERANCE = 0.02
"""Largest accepted difference between two engines at any point of a distribution function (a probability)."""

EROSION_TOLERANCE = 0.5
"""Largest accepted difference of an expected erosion in percent of the joint surface; readers read in steps of 5."""

# Device files of a GPU: NVIDIA driver, GPU of a WSL host, AMD driver.
_DEVICE_PATTERNS = ("nvidia[0-9]*", "nvidiactl", "dxg", "kfd")


def choose_engine(setting: EngineSetting, model: StoredModel, batch_size: int = DEFAULT_BATCH_SIZE) -> Engine:
    """Load a model into the engine given by a setting.

    `auto` selects TensorFlow if it finds a GPU, otherwise OpenVINO. Importing TensorFlow takes 10 to 20 seconds, so
    `auto` imports it only if a device file suggests a GPU. The network runs on `batch_size` images per call.

    Raises:
        ModelRejected: The engine cannot load the files of the model.
    """
    name = setting
    if setting == "auto":
        name = "tensorflow" if gpu_may_be_present() and _tensorflow_finds_gpu() else "openvino"
    logger.info("engine_chosen engine=%s setting=%s model=%s", name, setting, model.version)
    if name == "tensorflow":
        from scoring.inference.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(model, batch_size)
    from scoring.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(model, batch_size)


def gpu_may_be_present(dev: Path = Path("/dev")) -> bool:
    """Return True if a GPU device file exists and `CUDA_VISIBLE_DEVICES` does not hide it from this process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.split(",")[0].strip() in {"", "-1"}:
        return False
    return any(True for pattern in _DEVICE_PATTERNS for _ in dev.glob(pattern))


def _tensorflow_finds_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
