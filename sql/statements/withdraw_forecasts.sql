-- Title: Withdraw forecasts
-- Description: Marks forecasts of an earlier run as of the same date as withdrawn if the current run has none for that
-- patient and series.
-- Parameters: as_of, model_version, run_id; damages and patients, arrays of the current forecasts.

UPDATE analytics.rau_forecast AS forecast
SET withdrawn = TRUE, run_id = :run_id, computed_at = now()
WHERE
    forecast.as_of = :as_of
    AND forecast.model_version = :model_version
    AND NOT forecast.withdrawn
    AND NOT EXISTS (
        SELECT
        FROM unnest(cast(:damages AS text[]), cast(:patients AS text[])) AS present (damage, patient_id)
        WHERE present.damage = forecast.damage AND present.patient_id = forecast.patient_id
    )
