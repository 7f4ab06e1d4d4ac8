"""Regression slopes with intervals that allow for several observations per patient.

Written in numpy, because a nightly run needs hundreds of fits and `MixedLM` of statsmodels loops over patients in
Python. The tests compare both functions with statsmodels.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, stats

from scoring.analysis.correlation import UNKNOWN, Estimate
from scoring.analysis.frames import Codes, Floats

# Beyond this condition number the predictors are collinear, and their slopes cannot be separated.
_LARGEST_CONDITION = 1e10
_LARGEST_SHARE_OF_PATIENTS = 1 - 1e-6


def cluster_regression(y: Floats, predictors: Floats, cluster: Codes, confidence: float) -> list[Estimate]:
    """Fit least squares with errors that are robust to dependence within clusters (Cameron, Miller 2015, CR1).

    `y` (n,) and `predictors` (n, k) have no NaN; an intercept needs a constant column. `cluster` is the code of the
    patient of each value, (n,). The intervals use the t distribution with n_clusters - 1 degrees of freedom.

    Returns:
        The slope of each predictor; NaN if there are fewer than k + 2 values, fewer than 3 clusters, or collinear
        predictors.
    """
    n, k = predictors.shape
    index, clusters = pd.factorize(cluster)
    n_clusters = len(clusters)
    moments = predictors.T @ predictors
    if n < k + 2 or n_clusters < 3 or not _separable(moments):
        return [UNKNOWN] * k
    bread = np.linalg.inv(moments)
    slopes = bread @ (predictors.T @ y)
    scores = _sums(predictors * (y - predictors @ slopes)[:, None], index)
    correction = n_clusters / (n_clusters - 1) * (n - 1) / (n - k)
    errors = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread) * correction)
    halves = stats.t.ppf(0.5 + confidence / 2, n_clusters - 1) * errors
    ratio = np.divide(np.abs(slopes), errors, out=np.full(k, np.nan), where=errors > 0)
    p_values = 2 * stats.t.sf(ratio, n_clusters - 1)
    return [Estimate(*row) for row in np.column_stack([slopes, slopes - halves, slopes + halves, p_values]).tolist()]


def mixed_model(y: Floats, predictors: Floats, cluster: Codes, confidence: float) -> list[Estimate]:
    """Fit a linear mixed model with a random intercept per cluster, by maximum likelihood.

    For a given share of the variance between clusters, the estimate is least squares on values from which a part of the
    cluster's mean is subtracted (Fuller, Battese, J Econometrics 1974;2:67-78). The likelihood determines the share.
    The intervals are cluster-robust, so they are also valid if clusters differ in more than their intercept (Liang,
    Zeger, Biometrika 1986;73:13-22).

    Args and returns are those of `cluster_regression`.
    """
    n, k = predictors.shape
    index, _ = pd.factorize(cluster)
    size = np.bincount(index).astype(np.float64)
    if n < k + 2 or len(size) < 3 or not _separable(predictors.T @ predictors):
        return [UNKNOWN] * k
    table = np.column_stack([predictors, y])
    means = _sums(table, index) / size[:, None]
    deviations = table - means[index]
    within = deviations.T @ deviations

    def deviance(share: float) -> float:
        """Return minus twice the log likelihood, up to a constant, for a share of the variance between clusters."""
        shrinkage = 1 + size * share / (1 - share)
        moments = within + (means * (size / shrinkage)[:, None]).T @ means
        slopes = np.linalg.solve(moments[:k, :k], moments[:k, k])
        residual = float(moments[k, k] - slopes @ moments[:k, k])
        return float(n * np.log(max(residual, sys.float_info.min)) + np.log(shrinkage).sum())

    share = optimize.minimize_scalar(
        deviance, bounds=(0, _LARGEST_SHARE_OF_PATIENTS), method="bounded", options={"xatol": 1e-9}
    ).x
    subtracted = 1 - 1 / np.sqrt(1 + size * share / (1 - share))
    table -= (subtracted[:, None] * means)[index]
    return cluster_regression(table[:, k], table[:, :k], cluster, confidence)


def _sums(columns: Floats, index: Codes) -> Floats:
    """Return the sums of each column within each cluster, (n_clusters, columns)."""
    return np.column_stack([np.bincount(index, weights=column) for column in columns.T])


def _separable(moments: npt.NDArray[Any]) -> bool:
    scale = np.sqrt(np.diag(moments))
    return bool(scale.all() and np.linalg.cond(moments / np.outer(scale, scale)) < _LARGEST_CONDITION)
