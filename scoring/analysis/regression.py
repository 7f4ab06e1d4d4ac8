"""Regression slopes whose intervals know that patients come back.

Written out in numpy, because a night asks for hundreds of fits, and statsmodels' `MixedLM` loops over patients in
Python. The tests hold both functions to statsmodels.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from scoring.analysis.correlation import Estimate, Floats

# Beyond this the predictors say the same thing twice, and no slope could be told from another.
_LARGEST_CONDITION = 1e10
_LARGEST_SHARE_OF_PATIENTS = 1 - 1e-6
_UNKNOWN = Estimate(np.nan, np.nan, np.nan, np.nan)


def cluster_regression(
    y: Floats, predictors: Floats, cluster: npt.NDArray[np.int64], confidence: float
) -> list[Estimate]:
    """Least squares with errors that are robust to dependence within clusters (Cameron, Miller 2015, CR1).

    Args:
        y: Values without NaN, (n,).
        predictors: Without NaN, (n, k); a constant column if there is to be an intercept.
        cluster: Number of the patient of each value, (n,).
        confidence: Of the intervals, by the t distribution with n_clusters - 1 degrees of freedom.

    Returns:
        The slope of each predictor; NaN if there are fewer values than 2 more than predictors, fewer than 3 clusters,
        or predictors that determine each other.
    """
    n, k = predictors.shape
    of, clusters = pd.factorize(cluster)
    n_clusters = len(clusters)
    moments = predictors.T @ predictors
    if n < k + 2 or n_clusters < 3 or not _separable(moments):
        return [_UNKNOWN] * k
    bread = np.linalg.inv(moments)
    slopes = bread @ (predictors.T @ y)
    scores = _sums(predictors * (y - predictors @ slopes)[:, None], of)
    correction = n_clusters / (n_clusters - 1) * (n - 1) / (n - k)
    errors = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * correction)
    halves = stats.t.ppf(0.5 + confidence / 2, n_clusters - 1) * errors
    ratio = np.divide(np.abs(slopes), errors, out=np.full(k, np.nan), where=errors > 0)
    p_values = 2 * stats.t.sf(ratio, n_clusters - 1)
    return [
        Estimate(float(slope), float(slope - half), float(slope + half), float(p_value))
        for slope, half, p_value in zip(slopes, halves, p_values, strict=True)
    ]


def mixed_model(y: Floats, predictors: Floats, cluster: npt.NDArray[np.int64], confidence: float) -> list[Estimate]:
    """Linear mixed model with a random intercept of each cluster, by maximum likelihood.

    With the share of variance that is the clusters' known, the estimate is least squares on values from which a part of
    the cluster's mean is taken (Fuller, Battese, J Econometrics 1974;2:67-78); the share is found by the likelihood.
    The intervals are cluster-robust, so they hold as well where clusters differ in more than their intercept (Liang,
    Zeger, Biometrika 1986;73:13-22).

    Args:
        y: Values without NaN, (n,).
        predictors: Without NaN, (n, k); a constant column if there is to be an intercept.
        cluster: Number of the patient of each value, (n,).
        confidence: Of the intervals, by the t distribution with n_clusters - 1 degrees of freedom.

    Returns:
        The slope of each predictor; NaN as for `cluster_regression`.
    """
    n, k = predictors.shape
    of, _ = pd.factorize(cluster)
    size = np.bincount(of).astype(np.float64)
    if n < k + 2 or len(size) < 3 or not _separable(predictors.T @ predictors):
        return [_UNKNOWN] * k
    table = np.column_stack([predictors, y])
    means = _sums(table, of) / size[:, None]
    inside = table - means[of]
    within = inside.T @ inside

    def deviance(share: float) -> float:
        """Minus twice the log likelihood, but for a constant, if the clusters have this share of the variance."""
        shrinking = 1 + size * share / (1 - share)
        moments = within + (means * (size / shrinking)[:, None]).T @ means
        slopes = np.linalg.solve(moments[:k, :k], moments[:k, k])
        residual = float(moments[k, k] - slopes @ moments[:k, k])
        return float(n * np.log(max(residual, sys.float_info.min)) + np.log(shrinking).sum())

    share = optimize.minimize_scalar(
        deviance, bounds=(0, _LARGEST_SHARE_OF_PATIENTS), method="bounded", options={"xatol": 1e-9}
    ).x
    taken = 1 - 1 / np.sqrt(1 + size * share / (1 - share))
    table -= (taken[:, None] * means)[of]
    return cluster_regression(table[:, k], table[:, :k], cluster, confidence)


def _sums(columns: Floats, of: npt.NDArray[np.int64]) -> Floats:
    """Sums of each column within each cluster, (n_clusters, columns)."""
    return np.column_stack([np.bincount(of, weights=column) for column in columns.T])


def _separable(moments: npt.NDArray[Any]) -> bool:
    scale = np.sqrt(np.diag(moments))
    return bool(scale.all() and np.linalg.cond(moments / np.outer(scale, scale)) < _LARGEST_CONDITION)
