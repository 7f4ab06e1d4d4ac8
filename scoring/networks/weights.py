"""A network's weights as one npz file of half-precision arrays, named by layer and variable."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.floating[Any]]]


def get_weights(network: Any) -> dict[str, NDArray[np.float32]]:
    """All weights and moving averages of a keras network as `{"block1_conv1/kernel": array, ...}`, float32.

    The state of random generators (dropout) is no weight and is left out.
    """
    return {name: np.asarray(variable, dtype=np.float32) for name, variable in _named(network).items()}


def set_weights(network: Any, weights: Weights) -> None:
    """Give a keras network the weights that `get_weights` took from its like.

    Raises:
        ValueError: A weight is missing, left over or of another shape; the message names it.
    """
    variables = _named(network)
    if unmatched := sorted(variables.keys() ^ weights.keys()):
        raise ValueError(f"weights do not fit the network: {', '.join(unmatched)} in only one of the two")
    for name, variable in variables.items():
        if tuple(variable.shape) != weights[name].shape:
            raise ValueError(f"weight {name} has shape {weights[name].shape}, the network expects {variable.shape}")
        variable.assign(weights[name].astype(np.float32))


def _named(network: Any) -> dict[str, Any]:
    """A network's variables by layer and name; those of a network within the network by their place in it.

    Keras numbers the layers of its ready-made networks by how many the process has built before.
    """
    named = {}
    for layer in network.layers:
        nested = bool(getattr(layer, "layers", None))
        for place, variable in enumerate(layer.weights):
            if "seed" not in variable.path:
                named[f"{layer.name}/{place:03d}_{variable.name}" if nested else f"{layer.name}/{variable.name}"] = (
                    variable
                )
    return named


def round_to_half(weights: Weights) -> dict[str, NDArray[np.float16]]:
    """Round weights to half precision, which is how they are stored and shipped.

    Raises:
        ValueError: A weight is not finite, or too large for half precision.
    """
    with np.errstate(over="ignore"):
        rounded = {name: np.asarray(values, dtype=np.float16) for name, values in weights.items()}
    if bad := sorted(name for name, values in rounded.items() if not np.isfinite(values).all()):
        raise ValueError(f"weights are not finite in half precision: {', '.join(bad)}; the training diverged")
    return rounded


def to_npz(weights: Weights) -> bytes:
    """The arrays as the bytes of an npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(weights))  # type: ignore[arg-type]
    return buffer.getvalue()


def from_npz(data: bytes) -> dict[str, NDArray[np.floating[Any]]]:
    """The arrays of an npz file; pickled objects are refused."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
