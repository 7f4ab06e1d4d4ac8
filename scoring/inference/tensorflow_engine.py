"""The GPU engine: runs the keras network in one compiled TensorFlow function. It also runs on a CPU, for comparison."""

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelRejected
from scoring.inference.engine import FixedBatchEngine
from scoring.model_store.stored_model import WEIGHTS, StoredModel


class TensorFlowEngine(FixedBatchEngine):
    """Runs the keras network of a stored model in float32.

    TensorFloat-32 is disabled: recent GPUs would round the inputs of each product to 10 bits, and results would differ
    between types of GPU.

    Raises:
        ModelRejected: The weights do not fit the architecture named in the manifest.
    """

    name = "tensorflow"
    precision = "float32"

    def __init__(self, model: StoredModel, batch_size: int) -> None:
        import tensorflow as tf

        from scoring.networks.architecture import build
        from scoring.networks.weights import from_npz, set_weights

        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            network = build(model.manifest["architecture"], dict(model.manifest["arguments"]))
            set_weights(network, from_npz(model.files[WEIGHTS]))
        except (ValueError, TypeError) as error:
            raise ModelRejected(
                f"TensorFlow cannot load model {model.version} ({error}). Restore the model's folder or train a new"
                " version."
            ) from error
        self.side = model.side
        self.batch_size = batch_size
        self._function = tf.function(
            lambda images: network(images, training=False),
            input_signature=[tf.TensorSpec((batch_size, model.side, model.side, 1), tf.float32)],
        )

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        cdf: NDArray[np.float32] = self._function(images).numpy()
        return cdf
