-- Title: Patients whose next radiograph will probably show progression
-- Description: The newest forecasts of the champion for series of at least two radiographs, those first who most probably go
-- beyond the smallest detectable change of 6.3 points within a year of their last radiograph. rau_level is the estimated
-- score today; a radiograph of that date would score between rau_q05 and rau_q95 in nine of ten cases.

SELECT
    forecast.damage,
    forecast.patient_id,
    forecast.n_radiographs,
    forecast.last_visit,
    forecast.forecast_date,
    forecast.overdue,
    round(forecast.rau_last::numeric, 1) AS rau_last,
    round(forecast.rau_level::numeric, 1) AS rau_level,
    round(forecast.rau_expected::numeric, 1) AS rau_expected,
    round(forecast.rau_q05::numeric, 1) AS rau_q05,
    round(forecast.rau_q95::numeric, 1) AS rau_q95,
    round(forecast.p_beyond_sdc::numeric, 2) AS p_beyond_sdc,
    forecast.n_scored,
    forecast.trained_on_synthetic
FROM analyst.rau_forecast AS forecast
WHERE
    forecast.is_champion
    AND forecast.is_newest
    AND forecast.n_radiographs > 1
ORDER BY forecast.p_beyond_sdc DESC, forecast.damage ASC, forecast.patient_id ASC;
