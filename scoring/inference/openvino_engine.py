"""The CPU engine: runs the OpenVINO graph of a model. It loads in about one second and does not need TensorFlow."""

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelRejected
from scoring.inference.engine import FixedBatchEngine, available_cpus
from scoring.model_store.stored_model import GRAPH, GRAPH_WEIGHTS, StoredModel
from scoring.networks.openvino_graph import import_openvino


class OpenVinoEngine(FixedBatchEngine):
    """Runs the OpenVINO graph of a stored model on the CPU.

    The batch size is fixed when the graph is compiled. The precision is `bfloat16`, `float32` or `auto`, which selects
    bfloat16 (two to four times as fast) if the processor supports it and the manifest states that its results were
    measured to be within tolerance.

    Raises:
        ModelRejected: OpenVINO cannot load the graph.
    """

    name = "openvino"

    def __init__(self, model: StoredModel, batch_size: int, precision: str = "auto") -> None:
        core = import_openvino().Core()
        if precision == "auto":
            precision = "bfloat16" if cpu_computes_bfloat16() and _bfloat16_accepted(model) else "float32"
        try:
            graph = core.read_model(model.files[GRAPH], model.files[GRAPH_WEIGHTS])
            graph.reshape([batch_size, model.side, model.side, 1])
            compiled = core.compile_model(
                graph,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": {"bfloat16": "bf16", "float32": "f32"}[precision],
                    "INFERENCE_NUM_THREADS": available_cpus(),
                    "NUM_STREAMS": 1,
                },
            )
        except RuntimeError as error:
            raise ModelRejected(
                f"OpenVINO cannot load {GRAPH} of model {model.version} ({error}). Restore the model's folder or train"
                " a new version."
            ) from error
        self.precision = precision
        self.side = model.side
        self.batch_size = batch_size
        self._request = compiled.create_infer_request()

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        cdf: NDArray[np.float32] = self._request.infer(images, share_inputs=True, share_outputs=True)[0]
        return cdf


def cpu_computes_bfloat16() -> bool:
    """Return True if this processor has instructions for bfloat16."""
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _bfloat16_accepted(model: StoredModel) -> bool:
    measured = model.manifest.get("engines", {}).get("measured", [])
    return any(m["engine"] == "openvino" and m["precision"] == "bfloat16" and m["accepted"] for m in measured)
