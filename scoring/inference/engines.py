"""What runs the network: TensorFlow where there is a GPU, OpenVINO on the CPU, behind one small interface."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from scoring.inference.engine import DEFAULT_BATCH_SIZE, Engine
from scoring.model_store.stored_model import StoredModel

logger = logging.getLogger(__name__)

EngineSetting = Literal["auto", "openvino", "tensorflow"]

# Two engines may differ by this much on any joint: the distribution function by 0.02 (a probability), the expected
# erosion by 0.5 per cent of the joint's surface, a tenth of the step in which readers read.
CDF_TOLERANCE = 0.02
EROSION_TOLERANCE = 0.5


# Where a graphics card shows itself: NVIDIA's driver, WSL's bridge to it, AMD's driver.
_DEVICE_PATTERNS = ("nvidia[0-9]*", "nvidiactl", "dxg", "kfd")


def choose_engine(setting: EngineSetting, model: StoredModel, batch_size: int = DEFAULT_BATCH_SIZE) -> Engine:
    """Load a model into the engine that the setting asks for.

    Args:
        setting: `auto` takes TensorFlow if it sees a GPU, else OpenVINO. TensorFlow is not even imported, which costs
            10 to 20 seconds, unless it is asked for or a device file says that a GPU may be there.
        model: The checked model.
        batch_size: Images that the network sees at once; a shorter rest is padded.

    Raises:
        ModelRejected: The engine cannot load the model's files.
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
