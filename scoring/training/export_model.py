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
        cdf: Largest difference of any value of a distribution function.
        erosion: Largest difference of an expected erosion, in percent of the joint's surface.
        other_grade: Number of joints with another grade; such a joint is on the border between two.
        accepted: True if `cdf` and `erosion` are within tolerance.
    """

    n: int
    cdf: float
    erosion: float
    other_grade: int
    accepted: bool


def model_files(network: Any) -> dict[str, bytes]:
    """Return the files of a model, all made from the same weights, rounded to half precision.

    The network, of float32 policy, gets the rounded weights, so that figures measured on it hold for the files.

    Raises:
        ValueError: The weights are not finite, or the OpenVINO graph lacks a layer.
    """
    rounded = round_to_half(get_weights(network))
    set_weights(network, rounded)
    graph = build_graph(network, DEFAULT_BATCH_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        xml, binary = Path(folder) / GRAPH, Path(folder) / GRAPH_WEIGHTS
        import_openvino().serialize(graph, str(xml), str(binary))
        return {WEIGHTS: to_npz(rounded), GRAPH: xml.read_bytes(), GRAPH_WEIGHTS: binary.read_bytes()}


def measure_agreement(model: StoredModel, images: NDArray[np.uint8]) -> dict[str, Any]:
    """Compare every engine with TensorFlow in float32 on held-out joints, for the manifest's `engines`.

    OpenVINO in bfloat16 is measured if the CPU has it. If it is beyond tolerance, `OpenVinoEngine` reads that from the
    manifest and computes in float32. The model's manifest may be incomplete.

    Raises:
        ModelRejected: OpenVINO in float32 is beyond tolerance: the two graphs are not the same network.
    """
    from scoring.inference.openvino_engine import OpenVinoEngine, cpu_computes_bfloat16
    from scoring.inference.tensorflow_engine import TensorFlowEngine

    reference = predict_with(TensorFlowEngine(model, DEFAULT_BATCH_SIZE), images)
    precisions = ["float32", "bfloat16"] if cpu_computes_bfloat16() else ["float32"]
    measured = []
    for engine in (OpenVinoEngine(model, DEFAULT_BATCH_SIZE, precision) for precision in precisions):
        found = compare(reference, predict_with(engine, images))
        if engine.precision == "float32" and not found.accepted:
            raise ModelRejected(
                f"Model {model.version}: OpenVINO and TensorFlow differ by {found.cdf:.4f} in a distribution function "
                f"and by {found.erosion:.2f} percent of erosion; at most {CDF_TOLERANCE} and {EROSION_TOLERANCE} are "
                "tolerated. Train the model again, and report the difference if it remains."
            )
        rounded = {"cdf": float(f"{found.cdf:.3g}"), "erosion": float(f"{found.erosion:.3g}")}
        measured.append({"engine": engine.name, "precision": engine.precision} | asdict(found) | rounded)
    return {
        "reference": "tensorflow float32",
        "cdf_tolerance": CDF_TOLERANCE,
        "erosion_tolerance": EROSION_TOLERANCE,
        "measured": measured,
    }


def compare(reference: NDArray[np.float32], cdf: NDArray[np.float32]) -> Agreement:
    """Compare an engine's predictions with the reference, both raw `(n, 101)`."""
    ours, theirs = read_out(cdf), read_out(reference)
    of_cdf, of_erosion = float(np.abs(cdf - reference).max()), float(np.abs(ours.mean - theirs.mean).max())
    accepted = of_cdf <= CDF_TOLERANCE and of_erosion <= EROSION_TOLERANCE
    return Agreement(len(cdf), of_cdf, of_erosion, int((ours.grade != theirs.grade).sum()), accepted)


def predict_with(engine: Engine, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return an engine's raw distribution functions for images, uint8 `(n, side, side)`."""
    return np.concatenate(
        [engine.predict(as_batch(list(images[at : at + _CHUNK]))) for at in range(0, len(images), _CHUNK)]
    )
