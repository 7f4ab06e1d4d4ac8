"""Weights of a network as one npz file of half-precision arrays, named by layer and variable."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.floating[Any]]]


def get_weights(network: Any) -> dict[str, NDArray[np.float32]]:
    """Return the weights and moving averages of a keras network as `{"block1_conv1/kernel": array, ...}`, float32.

    The state of random generators (dropout) is excluded.
    """
    return {name: np.asarray(variable, dtype=np.float32) for name, variable in _named(network).items()}


def set_weights(network: Any, weights: Weights) -> None:
    """Set the weights of a keras network to those that `get_weights` returned for an equal architecture.

    Raises:
        ValueError: A weight is missing, unknown or of another shape; the message names it.
    """
    variables = _named(network)
    if unmatched := sorted(variables.keys() ^ weights.keys()):
        raise ValueError(f"Weights and network differ: only one of them has {', '.join(unmatched)}.")
    for name, variable in variables.items():
        if tuple(variable.shape) != weights[name].shape:
            raise ValueError(f"Weight {name} has shape {weights[name].shape}; the network expects {variable.shape}.")
        variable.assign(weights[name].astype(np.float32))


def _named(network: Any) -> dict[str, Any]:
    """Return variables by layer and name; those of a nested network by their position in it.

    Keras numbers the layers of its ready-made networks by how many the process has built, so their names vary.
    """
    named = {}
    for layer in network.layers:
        nested = bool(getattr(layer, "layers", None))
        for position, variable in enumerate(layer.weights):
            if "seed" not in variable.path:
                prefix = f"{position:03d}_" if nested else ""
                named[f"{layer.name}/{prefix}{variable.name}"] = variable
    return named


def round_to_half(weights: Weights) -> dict[str, NDArray[np.float16]]:
    """Round weights to half precision, the precision of stored models.

    Raises:
        ValueError: A weight is not finite or too large for half precision.
    """
    with np.errstate(over="ignore"):
        rounded = {name: np.asarray(values, dtype=np.float16) for name, values in weights.items()}
    if bad := sorted(name for name, values in rounded.items() if not np.isfinite(values).all()):
        raise ValueError(f"The training diverged: weights without a finite half-precision value: {', '.join(bad)}.")
    return rounded


def to_npz(weights: Weights) -> bytes:
    """Return the arrays as the bytes of an npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(weights))  # type: ignore[arg-type]
    return buffer.getvalue()


def from_npz(data: bytes) -> dict[str, NDArray[np.floating[Any]]]:
    """Return the arrays of an npz file; pickled objects are rejected."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
