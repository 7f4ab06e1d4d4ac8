-- Title: Forecast of the Rau score
-- Description: Score that the next radiograph of a patient would show one year after the last one, with a 90 % interval
-- and the probability of a change beyond the smallest detectable one. Forecasts as of earlier dates are kept, so that
-- they can be compared with later scores. `scoring backtest` reports how well the method forecasts in this warehouse.

CREATE VIEW analyst.rau_forecast AS
SELECT
    forecast.as_of, forecast.damage, forecast.patient_id, forecast.horizon_months,
    forecast.last_visit, forecast.forecast_date,
    forecast.n_visits, forecast.n_scored, forecast.n_scored < 32 AS extrapolated,
    forecast.rau_last, forecast.rau_level, forecast.rau_expected, forecast.rau_median,
    forecast.rau_q05, forecast.rau_q95, forecast.p_beyond_sdc,
    forecast.forecast_date < forecast.as_of AS overdue,
    forecast.n_patients, forecast.as_of = newest.as_of AS is_newest,
    forecast.model_version,
    coalesce(forecast.model_version = champion.model_version, FALSE) AS is_champion,
    scorer.trained_on_synthetic, forecast.computed_at
FROM analytics.rau_forecast AS forecast
INNER JOIN scoring.model_version AS scorer ON forecast.model_version = scorer.version
-- One index lookup per model, regardless of the number of dates.
INNER JOIN LATERAL (
    SELECT max(latest.as_of) AS as_of
    FROM analytics.rau_forecast AS latest
    WHERE latest.model_version = scorer.version
) AS newest ON TRUE
LEFT JOIN analyst.champion ON forecast.model_version = champion.model_version
WHERE NOT forecast.withdrawn;

COMMENT ON VIEW analyst.rau_forecast IS 'Forecast Rau score of the next radiograph with its interval: one row per date, model, series and patient.';
COMMENT ON COLUMN analyst.rau_forecast.extrapolated IS 'True if fewer than 32 joints were scored at last_visit; null for reported_rau.';
COMMENT ON COLUMN analyst.rau_forecast.overdue IS 'True if forecast_date was before as_of: no radiograph arrived within the horizon.';
COMMENT ON COLUMN analyst.rau_forecast.is_newest IS 'True for the newest as_of date of the model.';
