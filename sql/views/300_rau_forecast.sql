-- Title: Forecast of the Rau score
-- Description: Score that the next radiograph of a patient would show one year after the last one, with a 90 % interval
-- and the probability of a change beyond the smallest detectable one. Forecasts as of earlier dates are kept, so that
-- they can be compared with later scores. `scoring backtest` reports how well the method forecasts in this warehouse.

CREATE VIEW analyst.rau_forecast AS
SELECT
    rau_forecast.as_of,
    rau_forecast.damage,
    rau_forecast.patient_id,
    rau_forecast.horizon_months,
    rau_forecast.last_visit,
    rau_forecast.forecast_date,
    rau_forecast.n_visits,
    rau_forecast.n_scored,
    rau_forecast.n_scored < 32 AS extrapolated,
    rau_forecast.rau_last,
    rau_forecast.rau_level,
    rau_forecast.rau_expected,
    rau_forecast.rau_median,
    rau_forecast.rau_q05,
    rau_forecast.rau_q95,
    rau_forecast.p_beyond_sdc,
    rau_forecast.forecast_date < rau_forecast.as_of AS overdue,
    rau_forecast.n_patients,
    rau_forecast.as_of = newest.as_of AS is_newest,
    rau_forecast.model_version,
    coalesce(rau_forecast.model_version = champion.model_version, FALSE) AS is_champion,
    model_version.trained_on_synthetic,
    rau_forecast.computed_at
FROM analytics.rau_forecast
INNER JOIN scoring.model_version ON rau_forecast.model_version = model_version.version
-- One index lookup per model, regardless of the number of dates.
INNER JOIN LATERAL (
    SELECT max(latest.as_of) AS as_of
    FROM analytics.rau_forecast AS latest
    WHERE latest.model_version = model_version.version
) AS newest ON TRUE
LEFT JOIN analyst.champion ON rau_forecast.model_version = champion.model_version
WHERE NOT rau_forecast.withdrawn;

COMMENT ON VIEW analyst.rau_forecast IS 'Forecast Rau score of the next radiograph with its interval: one row per date, model, series and patient.';
COMMENT ON COLUMN analyst.rau_forecast.extrapolated IS 'True if fewer than 32 joints were scored at last_visit; null for reported_rau.';
COMMENT ON COLUMN analyst.rau_forecast.overdue IS 'True if forecast_date was before as_of: no radiograph arrived within the horizon.';
COMMENT ON COLUMN analyst.rau_forecast.is_newest IS 'True for the newest as_of date of the model.';
