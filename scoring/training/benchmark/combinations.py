"""Predictions made of other predictions: calibrated anew, of several models, of an image and its mirror, of a radiograph's joints."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize, minimize_scalar
from scipy.special import expit, logit

from scoring.networks.readout import make_monotone, read_out
from scoring.training.evaluation import metrics

Cdf = NDArray[np.float32]
Strings = NDArray[np.str_]

# Probabilities of 0 and 1 have no logit.
_NEAREST = 1e-4

# Readings lie on a grid of 5 per cent, and none lies above 100.
_THRESHOLDS = np.arange(0, 100, 5)


def mean_answer(answers: Sequence[Cdf]) -> Cdf:
    """The even mixture of several distribution functions of the same joints, each `(n, 101)`, raw or monotone."""
    mean = np.mean([make_monotone(cdf) for cdf in answers], axis=0, dtype=np.float64)
    return np.asarray(mean, dtype=np.float32)


class Temperature:
    """Temperature scaling: the logit of every F(k) divided by one number, fitted by the CRPS on joints not learnt from.

    Args:
        cdf: Distribution functions of these joints, `(n, 101)`.
        reading: Their readings, per cent, `(n,)`.

    Reference:

    - Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.
    """

    def __init__(self, cdf: Cdf, reading: NDArray[np.float32]) -> None:
        logits = _logits(cdf)
        found = minimize_scalar(
            lambda log_t: metrics.crps(_probabilities(logits / np.exp(log_t)), reading), bounds=(-2, 2)
        )
        self.value = float(np.exp(found.x))

    def __call__(self, cdf: Cdf) -> Cdf:
        """The tempered distribution functions of other joints, float32 `(n, 101)`."""
        return _probabilities(_logits(cdf) / self.value)


class Isotonic:
    """Isotonic calibration: each probability F(k) becomes the share of readings of at most k that came with it.

    Thresholds are pooled, so one rising function serves all and F stays monotone.

    Args:
        cdf: Distribution functions of joints not learnt from, `(n, 101)`.
        reading: Their readings, per cent, `(n,)`.

    Reference:

    - Kuleshov, Fenner, Ermon (2018). Accurate uncertainties for deep learning using calibrated regression. ICML.
    """

    def __init__(self, cdf: Cdf, reading: NDArray[np.float32]) -> None:
        said = make_monotone(cdf)[:, _THRESHOLDS].astype(np.float64).ravel()
        held = (reading[:, np.newaxis] <= _THRESHOLDS).astype(np.float64).ravel()
        order = np.argsort(said)
        self._said, self._held = said[order], isotonic_regression(held[order]).x

    def __call__(self, cdf: Cdf) -> Cdf:
        """The calibrated distribution functions of other joints, float32 `(n, 101)`."""
        calibrated = np.interp(make_monotone(cdf), self._said, self._held)
        calibrated[:, -1] = 1
        return np.asarray(calibrated, dtype=np.float32)


class RadiographContext:
    """Moves a joint's distribution by what the other joints of its radiograph look like.

    Joints of one patient are alike, and a reader who has seen three eroded joints looks harder at the fourth. So the
    logit of F is shifted and stretched linearly, `a + b logit F - c z`, where z is how eroded the other joints of the
    radiograph are expected to be. The three numbers are fitted by the CRPS on joints that the network has not learnt from.

    Args:
        cdf: Distribution functions of these joints, `(n, 101)`.
        radiograph: The radiograph of each, `(n,)`.
        reading: Their readings, per cent, `(n,)`.
    """

    def __init__(self, cdf: Cdf, radiograph: Strings, reading: NDArray[np.float32]) -> None:
        context = _of_the_others(cdf, radiograph)
        self._centre, self._scale = float(context.mean()), float(context.std()) or 1.0
        logits = _logits(cdf)
        z = self._standardised(context)

        def loss(parameters: NDArray[np.float64]) -> float:
            return metrics.crps(_moved(logits, z, parameters), reading)

        self.parameters = minimize(loss, np.array([0.0, 1.0, 0.0]), method="Nelder-Mead").x

    def __call__(self, cdf: Cdf, radiograph: Strings) -> Cdf:
        """The moved distribution functions of other joints, float32 `(n, 101)`."""
        return _moved(_logits(cdf), self._standardised(_of_the_others(cdf, radiograph)), self.parameters)

    def _standardised(self, context: NDArray[np.float64]) -> NDArray[np.float64]:
        return (context - self._centre) / self._scale


def _of_the_others(cdf: Cdf, radiograph: Strings) -> NDArray[np.float64]:
    """Mean square root of the expected erosion of the radiograph's other joints; of all joints where there are no others."""
    # The root: 0 to 5 per cent is news, 60 to 65 is not.
    eroded = np.sqrt(read_out(cdf).mean.astype(np.float64))
    _, index = np.unique(radiograph, return_inverse=True)
    others = np.bincount(index)[index] - 1
    total = np.bincount(index, eroded)[index] - eroded
    return np.where(others > 0, total / np.maximum(others, 1), eroded.mean())


def _logits(cdf: Cdf) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(make_monotone(cdf).astype(np.float64), _NEAREST, 1 - _NEAREST)))


def _moved(logits: NDArray[np.float64], z: NDArray[np.float64], parameters: NDArray[np.float64]) -> Cdf:
    shift, stretch, weight = parameters
    return _probabilities(shift + abs(stretch) * logits - weight * z[:, np.newaxis])


def _probabilities(logits: NDArray[np.float64]) -> Cdf:
    cdf = expit(logits)
    cdf[:, -1] = 1
    return np.asarray(cdf, dtype=np.float32)
