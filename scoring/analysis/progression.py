"""Progression model: forecasts of a patient's Rau score at a later radiograph, with an interval.

It adds two things to `scoring.analysis.growth`, because scores of damage are not normally distributed:

- **Scale.** Of the `SHIFTS`, the model uses the one that best forecasts each patient's last radiograph.
- **Interval.** Its quantiles are those of the standardised errors of forecasting each patient's last radiograph from
  the earlier ones. So they are valid for skewed and heavy-tailed errors, as in split-conformal prediction (Vovk,
  Gammerman, Shafer, Algorithmic learning in a random world, 2005). The few variances are estimated from the same
  patients; the back-test, which forecasts other patients, shows the effect.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scoring.analysis.frames import Floats, check_frame
from scoring.analysis.growth import GrowthModel, fit_growth, to_points, to_scale
from scoring.clinical.rau import HUMAN_SDC, MAX_SCORE

MIN_PATIENTS = 30
"""Patients with two or more radiographs; the errors of fewer are not enough for a 90 % interval."""

SHIFTS = (4.0, 16.0, 64.0, np.inf)
LEVELS = np.arange(1, 20) / 20
"""Levels of the quantiles of a forecast; the first and the last bound the 90 % interval."""

# A thousand patients determine the few variances to a few percent, within seconds.
_MAX_FITTED = 1000
_INPUT = ("patient_id", "visit_date", "rau", "rau_sd", "n_scored")


@dataclass(frozen=True)
class ProgressionModel:
    """A growth model with its errors.

    Attributes:
        growth: The growth model.
        residuals: Standardised errors of forecasting the last radiograph of each patient with two or more, ascending.
        n_patients: Number of patients behind the model, including those with one radiograph.
    """

    growth: GrowthModel
    residuals: Floats
    n_patients: int


@dataclass(frozen=True)
class PredictiveDistribution:
    """Distribution of one score per patient: centre + spread * error on a scale, the error drawn from a sample.

    Attributes:
        shift: c of the scale, points.
        centre: Centre on the scale, (n,).
        spread: Standard deviation on the scale, (n,).
        errors: Standardised errors, ascending, (m,).
    """

    shift: float
    centre: Floats
    spread: Floats
    errors: Floats

    def quantiles(self) -> Floats:
        """Return the quantiles at `LEVELS` in points, (n, 19)."""
        error = np.quantile(self.errors, LEVELS, method="weibull")
        return to_points(self.centre[:, np.newaxis] + self.spread[:, np.newaxis] * error, self.shift)

    def probability_above(self, points: Floats) -> Floats:
        """Return the probability that the score exceeds some points, (n,) to (n,).

        It is a rank among the errors and this one, so never exactly 0 or 1, which no number of errors could prove. The
        only exception is the highest possible score, which no score exceeds.
        """
        error = (to_scale(points, self.shift) - self.centre) / self.spread
        n_above = len(self.errors) - np.searchsorted(self.errors, error, side="right")
        return np.where(points < MAX_SCORE, (n_above + 0.5) / (len(self.errors) + 1), 0.0)


class TooFewPatients(ValueError):
    """Too few patients have two or more radiographs for a progression model."""


def fit(radiographs: pd.DataFrame) -> ProgressionModel:
    """Fit the progression model on the scale that best forecasts last radiographs.

    Args:
        radiographs: One row per patient and date: patient_id, visit_date, rau (0-190 points), rau_sd (standard
            deviation of its known error in points; missing means 0), n_scored (missing if unknown).

    Raises:
        TooFewPatients: Fewer than `MIN_PATIENTS` patients have two or more radiographs.
        ValueError: A column or score is missing, or a radiograph is repeated.
    """
    radiographs = checked(radiographs)
    before, last = without_last(radiographs)
    if len(last) < MIN_PATIENTS:
        raise TooFewPatients(
            f"{len(last)} patients have two or more radiographs, but the progression model needs {MIN_PATIENTS}"
        )
    # Selected by a hash of the id, so that a new patient replaces few of the others.
    patients = sorted(map(str, radiographs["patient_id"].unique()), key=lambda name: (zlib.crc32(name.encode()), name))
    sample = radiographs[radiographs["patient_id"].isin(patients[:_MAX_FITTED])]
    truth = last["rau"].to_numpy()
    candidates = []
    for shift in SHIFTS:
        growth = fit_growth(sample, shift)
        centre, spread, _ = growth.predict(before, last)
        errors = np.sort((to_scale(truth, shift) - centre) / spread)
        quantiles = PredictiveDistribution(shift, centre, spread, errors).quantiles()
        candidates.append((crps(quantiles, truth).mean(), ProgressionModel(growth, errors, len(patients))))
    return min(candidates, key=lambda candidate: candidate[0])[1]


def forecast(model: ProgressionModel, radiographs: pd.DataFrame) -> pd.DataFrame:
    """Forecast the score of each patient one year after their last radiograph.

    Radiographs and errors are those of `fit`; the model need not have been fitted to these patients.

    Returns:
        One row per patient, in order of their ids: patient_id, last_visit, forecast_date, n_visits (with a score),
        n_scored (of the last radiograph), rau_last (its score), rau_level (estimated score on that day, corrected for
        error), rau_expected, rau_median, rau_q05, rau_q95 (score of a radiograph on the forecast date in points, with
        its 90 % interval) and p_beyond_sdc: the probability that it exceeds rau_last by more than the smallest
        detectable change.
    """
    radiographs = checked(radiographs)
    last = radiographs.groupby("patient_id").tail(1).reset_index(drop=True)
    # The next radiograph is assumed to have the same known error as the last one.
    target = last.assign(visit_date=last["visit_date"] + pd.DateOffset(years=1))
    centre, spread, level = model.growth.predict(radiographs, target)
    predicted = PredictiveDistribution(model.growth.shift, centre, spread, model.residuals)
    quantiles = predicted.quantiles()
    return pd.DataFrame(
        {
            "patient_id": target["patient_id"],
            "last_visit": last["visit_date"].dt.date,
            "forecast_date": target["visit_date"].dt.date,
            "n_visits": radiographs.groupby("patient_id").size().to_numpy(),
            "n_scored": target["n_scored"],
            "rau_last": target["rau"],
            "rau_level": to_points(level, model.growth.shift),
            "rau_expected": quantiles.mean(axis=1),
            "rau_median": quantiles[:, len(LEVELS) // 2],
            "rau_q05": quantiles[:, 0],
            "rau_q95": quantiles[:, -1],
            "p_beyond_sdc": predicted.probability_above(target["rau"].to_numpy() + HUMAN_SDC),
        }
    )


def predict(model: ProgressionModel, radiographs: pd.DataFrame, target: pd.DataFrame) -> PredictiveDistribution:
    """Predict the score of one later radiograph of each patient.

    `radiographs` are as returned by `checked`; `target` has patient_id, visit_date and rau_sd, one row per patient of
    `radiographs` in order of their ids.
    """
    centre, spread, _ = model.growth.predict(radiographs, target)
    return PredictiveDistribution(model.growth.shift, centre, spread, model.residuals)


def without_last(radiographs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the radiographs of patients with two or more into the earlier ones and the last, by patient and date."""
    followed = radiographs[radiographs.groupby("patient_id")["visit_date"].transform("size") > 1]
    is_last = ~followed.duplicated("patient_id", keep="last")
    return followed[~is_last].reset_index(drop=True), followed[is_last].reset_index(drop=True)


def crps(quantiles: Floats, truth: Floats) -> Floats:
    """Compute the continuous ranked probability score from quantiles at `LEVELS`: twice the mean pinball loss.

    Gneiting, Raftery, J Am Stat Assoc 2007;102:359-78. For a forecast without spread it is the absolute error.

    `quantiles` are (n, 19) and `truth` the observed scores, (n,). Returns points, (n,); smaller is better.
    """
    error = truth[:, np.newaxis] - quantiles
    return np.asarray(2 * np.maximum(LEVELS * error, (LEVELS - 1) * error).mean(axis=1), dtype=np.float64)


def checked(radiographs: pd.DataFrame) -> pd.DataFrame:
    """Check the radiographs and return them typed, sorted by patient and date; raises the ValueError of `fit`."""
    check_frame("radiographs", radiographs, _INPUT, required=_INPUT[:3])
    typed = radiographs[list(_INPUT)].assign(
        visit_date=pd.to_datetime(radiographs["visit_date"]),
        rau=radiographs["rau"].astype("float64"),
        rau_sd=radiographs["rau_sd"].astype("float64").fillna(0.0),
    )
    return typed.sort_values(["patient_id", "visit_date"], ignore_index=True)
