"""Stored models for tests."""

import io

import numpy as np


def write_other_model(store_url: str, version: str = "other-1", shift: float = -0.3) -> str:
    """Write the shipped model under another version with slightly different weights, so that every score changes.

    Args:
        store_url: The model store.
        version: Name of the new model.
        shift: Added to the bias of reading 0: below 0, an intact joint becomes less probable.
    """
    from scoring.model_store.store import SHIPPED_VERSION, find_model, write_model
    from scoring.model_store.stored_model import GRAPH_WEIGHTS, WEIGHTS
    from scoring.networks.weights import to_npz

    shipped = find_model(SHIPPED_VERSION, store_url)
    weights = dict(np.load(io.BytesIO(shipped.files[WEIGHTS])))
    # Adding the same to all readings would change no prediction.
    bias = weights["grid/bias"].astype(np.float32)
    moved = bias + np.float32(shift) * (np.arange(len(bias)) == 0)
    weights["grid/bias"] = moved.astype(np.float16)
    graph = shipped.files[GRAPH_WEIGHTS]
    assert graph.count(bias.tobytes()) == 1
    files = {
        **shipped.files,
        WEIGHTS: to_npz(weights),
        GRAPH_WEIGHTS: graph.replace(bias.tobytes(), moved.astype(np.float32).tobytes()),
    }
    write_model(store_url, {**shipped.manifest, "version": version}, files)
    return version


TINY = {"side": 128, "filters": [4, 8, 8, 8], "dense": [16], "dropout": 0.0}
"""Arguments of a network that learns the joints of `tests.lib.bars` in seconds."""


def write_untrained_model(store_url: str, version: str = "untrained-1") -> str:
    """Write a tiny network with its initial weights, which every trained one surpasses."""
    import keras

    from scoring.imaging.preprocess import PREPROCESSING_VERSION
    from scoring.model_store.store import write_model
    from scoring.networks.architecture import build
    from scoring.training.export_model import model_files

    architecture = "erosion_cdf_network"
    keras.utils.set_random_seed(1)
    facts = {
        "version": version,
        "trained_on_synthetic": True,
        "architecture": architecture,
        "arguments": TINY,
        "input_side": TINY["side"],
        "preprocessing_version": PREPROCESSING_VERSION,
    }
    write_model(store_url, facts, model_files(build(architecture, dict(TINY))))
    return version
