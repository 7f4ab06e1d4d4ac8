"""Rau scores of simulated patients, in the columns of the progression model."""

import numpy as np
import pandas as pd

from scoring.analysis.frames import DAYS_PER_YEAR

START = pd.Timestamp(2010, 1, 1)


def linear_growth(
    n_patients, seed, *, walk=0.0, error=9.0, sd=0.0, level=60.0, spread=100.0, slope=3.0, slope_spread=1.5**2
):
    """Simulate patients with normal levels and slopes: five to nine radiographs each, at irregular intervals.

    `spread`, `slope_spread`, `walk` (per year) and `error` are variances; `sd` is the known error of half the scores.
    """
    rng = np.random.default_rng(seed)
    patients = []
    for number in range(n_patients):
        t = np.concatenate([[0], np.cumsum(rng.uniform(0.4, 1.4, rng.integers(4, 9)))])
        days = np.round(t * DAYS_PER_YEAR)
        steps = rng.normal(0, np.sqrt(walk * np.diff(days / DAYS_PER_YEAR, prepend=0)))
        line = rng.normal(level, np.sqrt(spread)) + rng.normal(slope, np.sqrt(slope_spread)) * t + np.cumsum(steps)
        known = rng.choice([0.0, sd], len(t))
        patients.append(
            pd.DataFrame(
                {
                    "patient_id": f"{number:05d}",
                    "visit_date": START + pd.to_timedelta(days, unit="D"),
                    "rau": line + rng.normal(0, np.sqrt(error + known**2)),
                    "rau_sd": known,
                    "n_scored": 32,
                }
            )
        )
    return pd.concat(patients, ignore_index=True)


def skewed_growth(n_patients, seed):
    """Simulate a typical registry: most patients have little damage; the few with much damage progress."""
    rng = np.random.default_rng(seed)
    radiographs = linear_growth(n_patients, seed, level=0, spread=0, slope=0, slope_spread=0, error=0)
    years = (radiographs["visit_date"] - START).dt.days / DAYS_PER_YEAR
    patient = radiographs["patient_id"].astype(int)
    severity = rng.lognormal(2, 1, n_patients)[patient]
    true = severity * (1 + 0.1 * years)
    return radiographs.assign(rau=np.clip(true + rng.normal(0, 1 + 0.3 * np.sqrt(severity)), 0, 190))
