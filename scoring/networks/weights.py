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
    return {
        f"{layer.name}/{variable.name}": np.asarray(variable, dtype=np.float32)
        for layer in network.layers
        for variable in layer.weights
        if "seed" not in variable.path
    }


def set_weights(network: Any, weights: Weights) -> None:
    """Give a keras network the weights that `get_weights` took from its like.

    Raises:
        ValueError: A weight is missing, left over or of another shape; the message names it.
    """
    variables = {
        f"{layer.name}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.weights
        if "seed" not in variable.path
    }
    if unmatched := sorted(variables.keys() ^ weights.keys()):
        raise ValueError(f"weights do not fit the network: {', '.join(unmatched)} in only one of the two")
    for name, variable in variables.items():
        if tuple(variable.shape) != weights[name].shape:
            raise ValueError(f"weight {name} has shape {weights[name].shape}, the network expects {variable.shape}")
        variable.assign(weights[name].astype(np.float32))


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
