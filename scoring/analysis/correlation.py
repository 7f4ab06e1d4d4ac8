"""How joint damage goes with disease activity: correlations whose intervals know that patients come back.

A patient's visits resemble each other, so a thousand visits of a hundred patients carry little more than a hundred
patients' worth of information, and the textbook interval is too narrow. Here each correlation is linearised: its
influence function says by how much one visit moves it. Influences are summed within each patient, and the spread of
those sums is the standard error (cluster-robust, or sandwich, variance; Cameron, Miller, J Hum Resour 2015;50:317-72).
The interval is built on Fisher's z, where a correlation is closer to normal, with the t quantile of n_patients - 1.
It is a formula, not a bootstrap: the same visits give the same digits, and twenty thousand visits take a second.

In simulations the 95 % intervals hold the truth in 93 to 96 % of samples for normal values from 30 patients on. On
values as skewed as Rau scores that stays so for Spearman and Kendall; for Pearson it is about 90 % up to a hundred
patients and 94 % at four hundred, because a few badly damaged patients decide it. With few patients, read Spearman.

A weak correlation is the expected result. Damage adds up over decades while activity comes and goes; the thesis this
project follows reports 0.15 with DAS28-ESR and 0.08 with DAS28-3-CRP. A strong one is a reason to look for an error.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

DAMAGES = ("reported_rau", "predicted_rau")
ACTIVITIES = ("das28_esr4", "das28_esr3", "das28_crp4", "das28_crp3", "physician_global", "patient_global")
COLUMNS = (
    "damage",
    "activity",
    "method",
    "estimate",
    "ci_low",
    "ci_high",
    "confidence",
    "n_visits",
    "n_patients",
)
MIN_PATIENTS = 5
"""With fewer patients there is no estimate: little could be said about its error, and too much about the patients."""

DECIMALS = 9
"""The same sums in another order may differ in the last digits; a night that is run twice must not."""

THREADS = 2
"""Figures that are computed at once. numpy lets go of the interpreter while it works on long arrays; each needs some
hundred bytes a visit."""

# A correlation this close to 1 or -1 leaves no residual influence, so no error can be estimated.
_PERFECT = 1 - 1e-12

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, and the probability of one as far from 0 if 0 were true; NaN where not estimable."""

    estimate: float
    ci_low: float
    ci_high: float
    p_value: float


def correlate(visits: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Correlate each measure of damage with each measure of disease activity over visits.

    Every pair uses the visits that have both values (pairwise complete), so n differs between rows.

    Args:
        visits: One row a visit: patient_id, visit_date, reported_rau, predicted_rau, das28_esr4, das28_esr3,
            das28_crp4, das28_crp3, physician_global, patient_global. Missing values are NaN or null.
        confidence: Of the intervals, between 0 and 1.

    Returns:
        One row for each of 2 damages x 6 activities x 3 methods (pearson, spearman, kendall's tau-b), in that order:
        damage, activity, method, estimate, ci_low, ci_high, confidence, n_visits, n_patients. Estimate and interval
        are NaN if fewer than `MIN_PATIENTS` patients have both values or if one value never varies; the interval alone
        is NaN for a correlation of exactly 1 or -1.

    Raises:
        ValueError: A column is missing, a visit has no patient, a visit is there twice (a join that fans out
            strengthens nothing but the wrong belief), or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError("confidence must be between 0 and 1")
    _check_visits(visits)
    patients, _ = pd.factorize(visits["patient_id"])
    values = {name: _floats(visits[name]) for name in (*DAMAGES, *ACTIVITIES)}

    def figures(damage: str, activity: str) -> list[tuple[object, ...]]:
        both = np.isfinite(values[damage]) & np.isfinite(values[activity])
        x, y, patient = values[damage][both], values[activity][both], patients[both]
        n_patients = len(np.unique(patient))
        found = {method: cluster_correlation(x, y, patient, method, confidence) for method in METHODS}
        return [
            (damage, activity, method, one.estimate, one.ci_low, one.ci_high, confidence, len(x), n_patients)
            for method, one in found.items()
        ]

    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(figures, *zip(*product(DAMAGES, ACTIVITIES), strict=True))
        rows = [row for part in parts for row in part]
    return pd.DataFrame(rows, columns=list(COLUMNS)).round(DECIMALS)


def cluster_correlation(x: Floats, y: Floats, cluster: npt.NDArray[Any], method: str, confidence: float) -> Estimate:
    """One correlation with an interval that is robust to dependence within clusters.

    Args:
        x: Values without NaN, (n,).
        y: Values without NaN, (n,).
        cluster: The patient of each value, (n,).
        method: pearson, spearman or kendall.
        confidence: Of the interval, between 0 and 1.

    Returns:
        The correlation; see `correlate` for when it is NaN. The p value is that of the interval: below 1 - confidence
        exactly where the interval leaves out 0.
    """
    cluster_index, clusters = pd.factorize(cluster)
    n_clusters = len(clusters)
    if n_clusters < MIN_PATIENTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(np.nan, np.nan, np.nan, np.nan)
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
    # Pearson's correlation of the ranks F(x), G(y), but a visit moves it in two ways: by its own ranks, and by shifting
    # the ranks of all visits above it. Ties take the middle rank.
    of_x, of_y = _Ranks(x), _Ranks(y)
    u, v = of_x.middle, of_y.middle
    return _correlation_of(
        u,
        v,
        _moment_influence(u, v) + of_x.shift(v) + of_y.shift(u),
        _moment_influence(u, u) + 2 * of_x.shift(u),
        _moment_influence(v, v) + 2 * of_y.shift(v),
    )


def _kendall(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Tau-b, K / sqrt(D_x D_y): excess of concordant pairs over the pairs that are not tied in x, and in y."""
    of_x, of_y = _Ranks(x), _Ranks(y)
    excess = _excess_concordance(of_x, of_y)
    untied_x, untied_y = of_x.untied_share, of_y.untied_share
    # Each is a mean over pairs (a U-statistic), so a visit's influence is twice its own mean minus that of all.
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
    """Correlation of x and y, and its influences by the chain rule from those of its three moments."""
    s_x, s_y = x.std(), y.std()
    r = float(np.clip(np.mean((x - x.mean()) * (y - y.mean())) / (s_x * s_y), -1, 1))
    return r, covariance / (s_x * s_y) - r / 2 * (variance_x / s_x**2 + variance_y / s_y**2)


def _moment_influence(x: Floats, y: Floats) -> Floats:
    cross = (x - x.mean()) * (y - y.mean())
    return np.asarray(cross - cross.mean(), dtype=np.float64)


class _Ranks:
    """Where each of some values stands among them; sorted once, as sorting is what rank correlations spend time on.

    Attributes:
        order: Places of the values from the smallest to the largest, (n,).
        below: Number of smaller values, (n,).
        up_to: Number of values that are not larger, (n,).
        dense: Number of different smaller values, (n,).
    """

    def __init__(self, values: Floats) -> None:
        n = len(values)
        # In which order equals come shows in the last digits only, and a sort that keeps it takes six times as long.
        self.order = np.argsort(values)
        ordered = values[self.order]
        begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[:n])
        lengths = np.diff(np.append(begins, n))
        self.dense, self.below, self.up_to = (np.empty(n, dtype=np.int64) for _ in range(3))
        self.dense[self.order] = np.repeat(np.arange(len(begins)), lengths)
        self.below[self.order] = np.repeat(begins, lengths)
        self.up_to[self.order] = np.repeat(begins + lengths, lengths)

    @property
    def middle(self) -> Floats:
        """Share of values below, plus half of those equal: the empirical distribution function with ties split."""
        return np.asarray((self.below + self.up_to) / 2 / len(self.order), dtype=np.float64)

    @property
    def untied_share(self) -> Floats:
        """Share of values that differ from each."""
        return np.asarray(1 - (self.up_to - self.below) / len(self.order), dtype=np.float64)

    def shift(self, weights: Floats) -> Floats:
        """Influence of each value on the mean of rank(values) * weights through the ranks of the other values.

        One more visit at value v raises the rank of all above v by one place, and of its equals by half.
        """
        centred = weights - weights.mean()
        from_top = np.append(np.cumsum(centred[self.order][::-1])[::-1], 0.0)
        raised = (from_top[self.below] + from_top[self.up_to]) / (2 * len(weights))
        return np.asarray(raised - raised.mean(), dtype=np.float64)


def _excess_concordance(x: _Ranks, y: _Ranks) -> Floats:
    """For each visit, the share of visits concordant with it minus the share discordant with it."""
    n = len(x.order)
    below = _CountBelow(y.dense[x.order])
    low_low = below(x.below, y.dense)
    low_high = x.below - below(x.below, y.dense + 1)
    high_low = y.below - below(x.up_to, y.dense)
    high_high = (n - x.up_to) - (y.up_to - below(x.up_to, y.dense + 1))
    return np.asarray((low_low + high_high - low_high - high_low) / n, dtype=np.float64)


class _CountBelow:
    """Counts, among the first p of a sequence of whole numbers, those below a limit: a wavelet matrix.

    Each level splits the sequence by one bit, highest first, and keeps the running number of zeros. A query walks down
    the levels; all queries walk together, so n queries take O(n log n) without a Python loop over visits. (Claude,
    Navarro, Ordonez, "The wavelet matrix", Inform Syst 2015;47:15-32.)
    """

    def __init__(self, sequence: npt.NDArray[np.int64]) -> None:
        self._bits = int(sequence.max(initial=0) + 1).bit_length()
        self._zeros = []
        for bit in reversed(range(self._bits)):
            is_zero = (sequence >> bit) & 1 == 0
            self._zeros.append(np.append(0, np.cumsum(is_zero)))
            sequence = np.concatenate([sequence[is_zero], sequence[~is_zero]])

    def __call__(self, prefix: npt.NDArray[np.int64], limit: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        start, stop = np.zeros_like(prefix), prefix
        count = np.zeros_like(prefix)
        for bit, zeros in zip(reversed(range(self._bits)), self._zeros, strict=True):
            goes_right = (limit >> bit) & 1 == 1
            zeros_before, zeros_until = zeros[start], zeros[stop]
            count += np.where(goes_right, zeros_until - zeros_before, 0)
            start = np.where(goes_right, zeros[-1] + start - zeros_before, zeros_before)
            stop = np.where(goes_right, zeros[-1] + stop - zeros_until, zeros_until)
        return count


def _check_visits(visits: pd.DataFrame) -> None:
    missing = [name for name in ("patient_id", "visit_date", *DAMAGES, *ACTIVITIES) if name not in visits.columns]
    if missing:
        raise ValueError(f"visits lack the columns {', '.join(missing)}")
    if visits["patient_id"].isna().any():
        raise ValueError(f"{int(visits['patient_id'].isna().sum())} visits have no patient_id; leave them out")
    repeated = int(visits.duplicated(["patient_id", "visit_date"]).sum())
    if repeated:
        raise ValueError(f"{repeated} visits are there more than once (patient_id, visit_date); correct the join")


def _floats(column: "pd.Series[Any]") -> Floats:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
