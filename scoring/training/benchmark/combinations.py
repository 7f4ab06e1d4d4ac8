"""Derived predictions: recalibrated, averaged, adapted to the other joints of the radiograph, or from neighbours.

Distribution functions, `cdf`, have shape `(n, 101)`; readings in percent and radiographs have shape `(n,)`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import expit, logit

from scoring.networks.readout import N_POINTS, make_monotone, read_out
from scoring.training.evaluation.metrics import crps

Cdf = NDArray[np.float32]
Strings = NDArray[np.str_]

# Probabilities of 0 and 1 have no logit.
_SMALLEST = 1e-4

# Readings are multiples of 5 percent, and none is above 100.
_THRESHOLDS = np.arange(0, 100, 5)

# Limits the distances from joints to read joints to some tens of MB.
_AT_ONCE = 512


def mean_prediction(predictions: Sequence[Cdf]) -> Cdf:
    """Return the equal mixture of several distribution functions of the same joints."""
    mean = np.mean([make_monotone(cdf) for cdf in predictions], axis=0, dtype=np.float64)
    return np.asarray(mean, dtype=np.float32)


class Temperature:
    """Temperature scaling: divides the logit of every F(k) by one number, fitted by the CRPS on a validation set.

    See Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.
    """

    def __init__(self, cdf: Cdf, reading: NDArray[np.float32]) -> None:
        logits = _logits(cdf)
        found = minimize_scalar(lambda log_t: crps(_probabilities(logits / np.exp(log_t)), reading), bounds=(-2, 2))
        self.value = float(np.exp(found.x))

    def __call__(self, cdf: Cdf) -> Cdf:
        """Return the scaled distribution functions of other joints."""
        return _probabilities(_logits(cdf) / self.value)


class Isotonic:
    """Isotonic calibration: replaces each probability F(k) by the observed share of readings of at most k.

    It is fitted on a validation set. Thresholds are pooled, so one rising function serves all and F stays monotone. See
    Kuleshov, Fenner, Ermon (2018). Accurate uncertainties for deep learning using calibrated regression. ICML.
    """

    def __init__(self, cdf: Cdf, reading: NDArray[np.float32]) -> None:
        predicted = make_monotone(cdf)[:, _THRESHOLDS].astype(np.float64).ravel()
        observed = (reading[:, np.newaxis] <= _THRESHOLDS).astype(np.float64).ravel()
        order = np.argsort(predicted)
        self._predicted, self._observed = predicted[order], isotonic_regression(observed[order]).x

    def __call__(self, cdf: Cdf) -> Cdf:
        """Return the calibrated distribution functions of other joints."""
        calibrated = np.interp(make_monotone(cdf), self._predicted, self._observed)
        calibrated[:, -1] = 1
        return np.asarray(calibrated, dtype=np.float32)


class RadiographContext:
    """Adapts a joint's distribution to the predictions for the other joints of its radiograph.

    Joints of one patient are alike: a reader who has seen three eroded joints looks harder at the fourth. The logit of
    F becomes `a + b logit F - c z`, where z is the standardised expected erosion of the other joints. The three numbers
    are fitted by the CRPS on a validation set.
    """

    def __init__(self, cdf: Cdf, radiograph: Strings, reading: NDArray[np.float32]) -> None:
        others = _erosion_of_others(cdf, radiograph)
        self._centre, self._scale = float(others.mean()), float(others.std()) or 1.0
        logits, z = _logits(cdf), (others - self._centre) / self._scale

        def loss(parameters: NDArray[np.float64]) -> float:
            return crps(_adapted(logits, z, parameters), reading)

        self.parameters = minimize(loss, np.array([0.0, 1.0, 0.0]), method="Nelder-Mead").x

    def __call__(self, cdf: Cdf, radiograph: Strings) -> Cdf:
        """Return the adapted distribution functions of other joints."""
        z = (_erosion_of_others(cdf, radiograph) - self._centre) / self._scale
        return _adapted(_logits(cdf), z, self.parameters)


def embed(network: Any, images: NDArray[np.uint8], *, stretched: bool = False) -> NDArray[np.float32]:
    """Return the output of the last hidden layer, `(n, n_features)`, for the arguments of `fit.predict`."""
    import keras

    from scoring.networks.heads import EMBEDDING
    from scoring.training.fit import predict

    return predict(keras.Model(network.inputs, network.get_layer(EMBEDDING).output), images, stretched=stretched)


def neighbours_cdf(
    embedding: NDArray[np.float32], known: NDArray[np.float32], reading: NDArray[np.float32], k: int
) -> NDArray[np.float32]:
    """Return the distribution of the readings of the k nearest joints (thesis, section 4.6.1).

    Joints that a network embeds close together look alike. `embedding` has those of the joints to predict, `(n,
    n_features)`, and `known` those of the joints with a reading, `(m, n_features)`. A ValueError is raised unless k is
    within 1 to m.
    """
    if not 1 <= k <= len(known):
        raise ValueError(f"k must be between 1 and {len(known)}, the number of read joints, not {k}.")
    steps = (np.arange(N_POINTS) >= reading[:, np.newaxis]).astype(np.float32)
    parts = []
    for start in range(0, len(embedding), _AT_ONCE):
        distance = cdist(embedding[start : start + _AT_ONCE], known)
        nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
        parts.append(steps[nearest].mean(axis=1))
    return np.concatenate(parts)


def _erosion_of_others(cdf: Cdf, radiograph: Strings) -> NDArray[np.float64]:
    """Return the mean square root of the expected erosion of the radiograph's other joints; without others, of all."""
    # The root, because 0 to 5 percent is a relevant difference, 60 to 65 is not.
    eroded = np.sqrt(read_out(cdf).mean.astype(np.float64))
    _, index = np.unique(radiograph, return_inverse=True)
    others = np.bincount(index)[index] - 1
    total = np.bincount(index, eroded)[index] - eroded
    return np.where(others > 0, total / np.maximum(others, 1), eroded.mean())


def _logits(cdf: Cdf) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(make_monotone(cdf).astype(np.float64), _SMALLEST, 1 - _SMALLEST)))


def _adapted(logits: NDArray[np.float64], z: NDArray[np.float64], parameters: NDArray[np.float64]) -> Cdf:
    shift, slope, weight = parameters
    return _probabilities(shift + abs(slope) * logits - weight * z[:, np.newaxis])


def _probabilities(logits: NDArray[np.float64]) -> Cdf:
    cdf = expit(logits)
    cdf[:, -1] = 1
    return np.asarray(cdf, dtype=np.float32)
