-- Title: Patients with probable progression
-- Description: Newest forecasts of the champion for series of at least two visits, ordered by the probability of a
-- change beyond the smallest detectable one (6.3 points) within one year of the last radiograph. rau_level is the
-- estimated score at the last radiograph. Nine of ten radiographs taken on forecast_date are expected to score between
-- rau_q05 and rau_q95.

SELECT
    forecast.damage, forecast.patient_id, forecast.n_visits,
    forecast.last_visit, forecast.forecast_date, forecast.overdue,
    round(forecast.rau_last::numeric, 1) AS rau_last, round(forecast.rau_level::numeric, 1) AS rau_level,
    round(forecast.rau_expected::numeric, 1) AS rau_expected,
    round(forecast.rau_q05::numeric, 1) AS rau_q05, round(forecast.rau_q95::numeric, 1) AS rau_q95,
    round(forecast.p_beyond_sdc::numeric, 2) AS p_beyond_sdc,
    forecast.n_scored, forecast.trained_on_synthetic
FROM analyst.rau_forecast AS forecast
WHERE forecast.is_champion AND forecast.is_newest AND forecast.n_visits > 1
ORDER BY forecast.p_beyond_sdc DESC, forecast.damage ASC, forecast.patient_id ASC;
