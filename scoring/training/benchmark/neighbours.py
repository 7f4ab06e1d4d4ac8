"""Prediction from neighbours: joints that a network places close together look alike, so their readings are asked.

Thesis, section 4.6.1: k nearest neighbours on the output of the last hidden layer.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from scoring.networks.readout import N_POINTS

_AT_ONCE = 512


def embed(network: Any, images: NDArray[np.uint8], *, stretched: bool = False) -> NDArray[np.float32]:
    """What the network's head sees of each image: the last hidden layer.

    Args:
        network: A trained keras network of `scoring.networks.architecture`.
        images: uint8 `(n, side, side)`.
        stretched: Whether the network was trained on stretched grey levels.

    Returns:
        float32 `(n, n_features)`.
    """
    import keras

    from scoring.networks.heads import EMBEDDING
    from scoring.training.fit import predict

    return predict(keras.Model(network.inputs, network.get_layer(EMBEDDING).output), images, stretched=stretched)


def neighbours_cdf(
    embedding: NDArray[np.float32], known: NDArray[np.float32], reading: NDArray[np.float32], k: int
) -> NDArray[np.float32]:
    """The distribution of the readings of the k nearest joints.

    Args:
        embedding: Of the joints to predict, `(n, n_features)`.
        known: Of the joints that were read, `(m, n_features)`.
        reading: Their readings in per cent, `(m,)`.
        k: Number of neighbours, 1 to m.

    Returns:
        Distribution functions, float32 `(n, 101)`: the share of the k readings that are at most so many per cent.

    Raises:
        ValueError: k is out of range.
    """
    if not 1 <= k <= len(known):
        raise ValueError(f"k is {k}; it must lie within 1 to the {len(known)} joints that were read")
    steps = (np.arange(N_POINTS) >= reading[:, np.newaxis]).astype(np.float32)
    parts = []
    for start in range(0, len(embedding), _AT_ONCE):
        distance = cdist(embedding[start : start + _AT_ONCE], known)
        nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
        parts.append(steps[nearest].mean(axis=1))
    return np.concatenate(parts) if parts else np.empty((0, N_POINTS), np.float32)
