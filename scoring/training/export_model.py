"""Export of a trained network to the files of a model, and the check that its engines agree."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import ModelRejected
from scoring.imaging.preprocess import as_batch
from scoring.inference.engine import DEFAULT_BATCH_SIZE, Engine
from scoring.inference.engines import CDF_TOLERANCE, EROSION_TOLERANCE
from scoring.model_store.stored_model import GRAPH, GRAPH_WEIGHTS, WEIGHTS, StoredModel
from scoring.networks.openvino_graph import build_graph, import_openvino
from scoring.networks.readout import read_out
from scoring.networks.weights import get_weights, round_to_half, set_weights, to_npz

AGREEMENT_JOINTS = 1_024
"""Number of held-out joints on which engines are compared."""

_CHUNK = 1024


@dataclass(frozen=True)
class Agreement:
    """Differences between an engine and TensorFlow in float32, on n held-out joints.

    Attributes:
        engine, precision: Name of the engine, and precision of its arithmetic.
        n: Number of joints compared.
        cdf: Largest difference of any value of a distribution function.
        erosion: Largest difference of an expected erosion, in percent of the joint's surface.
        other_grade: Number of joints with another grade; such a joint is on the border between two.
        accepted: True if `cdf` and `erosion` are within tolerance.
    """

    engine: str
    precision: str
    n: int
    cdf: float
    erosion: float
    other_grade: int
    accepted: bool


def model_files(network: Any) -> dict[str, bytes]:
    """Return the files of a model, all made from the same weights, rounded to half precision.

    The network, of float32 policy, gets the rounded weights, so whatever is measured on it afterwards holds for the
    files.

    Raises:
        ValueError: The weights are not finite, or a layer is unknown to the OpenVINO graph.
    """
    rounded = round_to_half(get_weights(network))
    set_weights(network, rounded)
    graph = build_graph(network, DEFAULT_BATCH_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        xml, binary = Path(folder) / GRAPH, Path(folder) / GRAPH_WEIGHTS
        import_openvino().serialize(graph, str(xml), str(binary))
        return {WEIGHTS: to_npz(rounded), GRAPH: xml.read_bytes(), GRAPH_WEIGHTS: binary.read_bytes()}


def measure_agreement(model: StoredModel, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Run every engine on held-out joints and compare each with TensorFlow in float32, for the manifest's `engines`.

    OpenVINO in bfloat16 is measured if the CPU has it. If it is beyond tolerance, it is not accepted, and the engine
    computes in float32 (`OpenVinoEngine` reads that from the manifest). The model's manifest may be incomplete.

    Raises:
        ModelRejected: OpenVINO in float32 is beyond tolerance: the two graphs are not the same network.
    """
    from scoring.inference.openvino_engine import OpenVinoEngine, cpu_computes_bfloat16
    from scoring.inference.tensorflow_engine import TensorFlowEngine

    reference = predict_with(TensorFlowEngine(model, DEFAULT_BATCH_SIZE), images)
    precisions = ["float32", "bfloat16"] if cpu_computes_bfloat16() else ["float32"]
    engines = (OpenVinoEngine(model, DEFAULT_BATCH_SIZE, precision) for precision in precisions)
    found = [compare(reference, predict_with(engine, images), engine) for engine in engines]
    if not found[0].accepted:
        raise ModelRejected(
            f"Model {model.version}: OpenVINO and TensorFlow differ by {found[0].cdf:.4f} in a distribution function "
            f"and by {found[0].erosion:.2f} percent of erosion; at most {CDF_TOLERANCE} and {EROSION_TOLERANCE} are "
            "tolerated. Train the model again, and report the difference if it remains."
        )
    return {
        "reference": "tensorflow float32",
        "cdf_tolerance": CDF_TOLERANCE,
        "erosion_tolerance": EROSION_TOLERANCE,
        "measured": [
            {**asdict(agreement), "cdf": float(f"{agreement.cdf:.3g}"), "erosion": float(f"{agreement.erosion:.3g}")}
            for agreement in found
        ],
    }


def compare(reference: NDArray[np.float32], cdf: NDArray[np.float32], engine: Engine) -> Agreement:
    """Compare an engine's predictions with the reference, both raw `(n, 101)`."""
    ours, theirs = read_out(cdf), read_out(reference)
    cdf_difference = float(np.abs(cdf - reference).max())
    erosion_difference = float(np.abs(ours.mean - theirs.mean).max())
    return Agreement(
        engine=engine.name,
        precision=engine.precision,
        n=len(cdf),
        cdf=cdf_difference,
        erosion=erosion_difference,
        other_grade=int((ours.grade != theirs.grade).sum()),
        accepted=cdf_difference <= CDF_TOLERANCE and erosion_difference <= EROSION_TOLERANCE,
    )


def predict_with(engine: Engine, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return an engine's raw distribution functions for images, uint8 `(n, side, side)`."""
    return np.concatenate(
        [engine.predict(as_batch(list(images[at : at + _CHUNK]))) for at in range(0, len(images), _CHUNK)]
    )
