"""Correlation of joint damage with disease activity, with intervals that allow for several visits per patient.

The visits of a patient resemble each other, so a thousand visits of a hundred patients carry little more information
than a hundred patients, and the textbook interval is too narrow. Therefore each correlation is linearised. Its
influence function states by how much one visit changes it; the influences are summed within each patient, and the
variation of these sums gives the standard error (cluster-robust or sandwich variance; Cameron, Miller, J Hum Resour
2015;50:317-72). The interval is computed on Fisher's z, where a correlation is closer to normal, with the t quantile of
n_patients - 1. It is a formula, not a bootstrap: equal visits give equal digits, and 20,000 visits take one second.

In simulations with normal values, the 95 % intervals contain the truth in 93 to 96 % of samples from 30 patients on.
With values as skewed as Rau scores, this also holds for Spearman and Kendall. For Pearson the coverage is about 90 % up
to 100 patients and 94 % with 400, because a few patients with much damage dominate it. With few patients, use Spearman.

A weak correlation is the expected result: damage accumulates over decades, while activity fluctuates. The thesis behind
this project reports 0.15 with DAS28-ESR and 0.08 with DAS28-3-CRP. A strong correlation suggests an error.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from scoring.analysis.frames import Codes, Floats, check_frame, to_floats

DAMAGES = ("reported_rau", "predicted_rau")
DAS28_FORMS = ("das28_esr4", "das28_esr3", "das28_crp4", "das28_crp3")
ACTIVITIES = (*DAS28_FORMS, "physician_global", "patient_global")
COLUMNS = (
    "damage", "activity", "method", "estimate", "ci_low", "ci_high", "confidence", "n_visits", "n_patients",
)  # fmt: skip
MIN_PATIENTS = 5
"""Fewer patients give no estimate: its error would be unknown, and it would reveal too much about them."""

DECIMALS = 9
"""Results are rounded, because sums in another order differ in the last digits and a repeated run must not."""

# Pairs of measures computed at once. numpy releases the interpreter lock on long arrays; each pair needs some hundred
# bytes per visit.
_THREADS = 2

# Beyond this correlation no residual influence remains, so no error can be estimated.
_PERFECT = 1 - 1e-12

Rows = list[tuple[object, ...]]


class Estimate(NamedTuple):
    """An estimate with its interval and two-sided p value of the hypothesis that it is 0; NaN where not estimable."""

    estimate: float
    ci_low: float
    ci_high: float
    p_value: float


UNKNOWN = Estimate(np.nan, np.nan, np.nan, np.nan)


def correlate(visits: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Correlate each measure of damage with each measure of disease activity over visits.

    Every pair uses the visits that have both values (pairwise complete), so n differs between rows. `visits` has one
    row per visit with the columns patient_id, visit_date, `DAMAGES` and `ACTIVITIES`; missing values are NaN or null.

    Returns:
        One row for each of 2 damages x 6 activities x 3 methods (pearson, spearman, kendall's tau-b), in that order,
        with the columns `COLUMNS`. Estimate and interval are NaN if fewer than `MIN_PATIENTS` patients have both values
        or if one value is constant. Only the interval is NaN for a correlation of exactly 1 or -1.

    Raises:
        ValueError: A column is missing, a visit has no patient, a visit is repeated (a join that multiplies rows makes
            intervals too narrow), or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("The confidence must be between 0 and 1.")
    check_frame("visits", visits, (*DAMAGES, *ACTIVITIES))
    patients, _ = pd.factorize(visits["patient_id"])
    values = {name: to_floats(visits[name]) for name in (*DAMAGES, *ACTIVITIES)}

    def rows_of_pair(damage: str, activity: str) -> Rows:
        both = np.isfinite(values[damage]) & np.isfinite(values[activity])
        x, y, patient = values[damage][both], values[activity][both], patients[both]
        counts = confidence, len(x), len(np.unique(patient))
        return [
            (damage, activity, method, *cluster_correlation(x, y, patient, method, confidence)[:3], *counts)
            for method in METHODS
        ]

    return pd.DataFrame(rows_of_pairs(rows_of_pair, DAMAGES, ACTIVITIES), columns=list(COLUMNS)).round(DECIMALS)


def rows_of_pairs(rows: Callable[[str, str], Rows], damages: Iterable[str], activities: Iterable[str]) -> Rows:
    """Return the rows of every pair of damage and activity, in this order, computed in threads."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(chain.from_iterable(pool.map(lambda pair: rows(*pair), product(damages, activities))))


def cluster_correlation(x: Floats, y: Floats, cluster: npt.NDArray[Any], method: str, confidence: float) -> Estimate:
    """Return one correlation with an interval that is robust to dependence within clusters.

    `x` and `y` have no NaN, and `cluster` is the patient of each value, (n,) each. `method` is a key of `METHODS`.

    Returns:
        The correlation; see `correlate` for when it is NaN. The p value agrees with the interval: it is below
        1 - confidence exactly if the interval does not contain 0.
    """
    cluster_index, clusters = pd.factorize(cluster)
    n_clusters = len(clusters)
    if n_clusters < MIN_PATIENTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return UNKNOWN
    estimate, influence = METHODS[method](x, y)
    if abs(estimate) > _PERFECT:
        return Estimate(estimate, np.nan, np.nan, np.nan)
    summed = np.bincount(cluster_index, weights=influence)
    error = np.sqrt(n_clusters / (n_clusters - 1) * np.sum(summed**2)) / len(x)
    # d atanh(r) / dr = 1 / (1 - r^2)
    z, z_error = np.arctanh(estimate), error / (1 - estimate**2)
    half = stats.t.ppf(0.5 + confidence / 2, n_clusters - 1) * z_error
    p_value = 2 * stats.t.sf(abs(z) / z_error, n_clusters - 1) if z_error > 0 else np.nan
    return Estimate(estimate, float(np.tanh(z - half)), float(np.tanh(z + half)), float(p_value))


def _pearson(x: Floats, y: Floats) -> tuple[float, Floats]:
    return _correlation_of(x, y, _moment_influence(x, y), _moment_influence(x, x), _moment_influence(y, y))


def _spearman(x: Floats, y: Floats) -> tuple[float, Floats]:
    # Pearson's correlation of the ranks F(x), G(y). A visit changes it by its own ranks and by shifting the ranks of
    # visits above it. Ties get the middle rank.
    x_ranks, y_ranks = _Ranks(x), _Ranks(y)
    u, v = x_ranks.middle, y_ranks.middle
    return _correlation_of(
        u,
        v,
        _moment_influence(u, v) + x_ranks.shift(v) + y_ranks.shift(u),
        _moment_influence(u, u) + 2 * x_ranks.shift(u),
        _moment_influence(v, v) + 2 * y_ranks.shift(v),
    )


def _kendall(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Tau-b, K / sqrt(D_x D_y): excess of concordant pairs, over the pairs not tied in x and those not tied in y."""
    x_ranks, y_ranks = _Ranks(x), _Ranks(y)
    below = _CountBelow(y_ranks.dense[x_ranks.order])
    low_low = below(x_ranks.below, y_ranks.dense)
    low_high = x_ranks.below - below(x_ranks.below, y_ranks.dense + 1)
    high_low = y_ranks.below - below(x_ranks.up_to, y_ranks.dense)
    high_high = (len(x) - x_ranks.up_to) - (y_ranks.up_to - below(x_ranks.up_to, y_ranks.dense + 1))
    # For each visit, the share of concordant visits minus the share of discordant visits.
    excess = (low_low + high_high - low_high - high_low) / len(x)
    untied_x, untied_y = x_ranks.untied_share, y_ranks.untied_share
    # All three are means over pairs (U-statistics): a visit's influence is twice its own mean minus the overall mean.
    d_x, d_y = untied_x.mean(), untied_y.mean()
    tau = float(stats.kendalltau(x, y, variant="b", method="asymptotic").statistic)
    relative = (untied_x - d_x) / d_x + (untied_y - d_y) / d_y
    return tau, 2 * (excess - excess.mean()) / np.sqrt(d_x * d_y) - tau * relative


METHODS: dict[str, Callable[[Floats, Floats], tuple[float, Floats]]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "kendall": _kendall,
}


def _correlation_of(
    x: Floats, y: Floats, covariance: Floats, variance_x: Floats, variance_y: Floats
) -> tuple[float, Floats]:
    """Return the correlation of x and y, and its influences by the chain rule from those of its three moments."""
    s_x, s_y = x.std(), y.std()
    r = float(np.clip(np.mean((x - x.mean()) * (y - y.mean())) / (s_x * s_y), -1, 1))
    return r, covariance / (s_x * s_y) - r / 2 * (variance_x / s_x**2 + variance_y / s_y**2)


def _moment_influence(x: Floats, y: Floats) -> Floats:
    cross = (x - x.mean()) * (y - y.mean())
    return np.asarray(cross - cross.mean(), dtype=np.float64)


class _Ranks:
    """Ranks of values.

    Attributes:
        order: Indices of the values from the smallest to the largest, (n,).
        dense: Number of distinct smaller values, (n,).
        up_to: Number of values that are not larger, (n,).
        below: Number of smaller values, (n,).
    """

    def __init__(self, values: Floats) -> None:
        # The order of equal values changes only the last digits, and a stable sort takes six times as long.
        self.order = np.argsort(values)
        _, self.dense, n_equal = np.unique(values, return_inverse=True, return_counts=True)
        self.up_to = np.cumsum(n_equal)[self.dense]
        self.below = self.up_to - n_equal[self.dense]

    @property
    def middle(self) -> Floats:
        """Share of smaller values plus half of the equal ones: the empirical distribution function with ties split."""
        return np.asarray((self.below + self.up_to) / 2 / len(self.order), dtype=np.float64)

    @property
    def untied_share(self) -> Floats:
        """Share of values that differ from each value."""
        return np.asarray(1 - (self.up_to - self.below) / len(self.order), dtype=np.float64)

    def shift(self, weights: Floats) -> Floats:
        """Return the influence of each value on the mean of rank * weight, through the ranks of the other values.

        One more visit with value v raises the rank of larger values by one, and of equal values by one half.
        """
        centred = weights - weights.mean()
        from_top = np.append(np.cumsum(centred[self.order][::-1])[::-1], 0.0)
        raised = (from_top[self.below] + from_top[self.up_to]) / (2 * len(weights))
        return np.asarray(raised - raised.mean(), dtype=np.float64)


class _CountBelow:
    """Counts the values below a limit among the first p values of a sequence of integers: a wavelet matrix.

    Each level splits the sequence by one bit, highest first, and keeps the running number of zeros. All queries descend
    the levels together, so n queries take O(n log n) without a Python loop over visits. (Claude, Navarro, Ordonez, "The
    wavelet matrix", Inform Syst 2015;47:15-32.)
    """

    def __init__(self, sequence: Codes) -> None:
        self._bits = int(sequence.max(initial=0) + 1).bit_length()
        self._zeros = []
        for bit in reversed(range(self._bits)):
            is_zero = (sequence >> bit) & 1 == 0
            self._zeros.append(np.append(0, np.cumsum(is_zero)))
            sequence = np.concatenate([sequence[is_zero], sequence[~is_zero]])

    def __call__(self, prefix: Codes, limit: Codes) -> Codes:
        start, stop = np.zeros_like(prefix), prefix
        count = np.zeros_like(prefix)
        for bit, zeros in zip(reversed(range(self._bits)), self._zeros, strict=True):
            goes_right = (limit >> bit) & 1 == 1
            zeros_before, zeros_until = zeros[start], zeros[stop]
            count += np.where(goes_right, zeros_until - zeros_before, 0)
            start = np.where(goes_right, zeros[-1] + start - zeros_before, zeros_before)
            stop = np.where(goes_right, zeros[-1] + stop - zeros_until, zeros_until)
        return count
