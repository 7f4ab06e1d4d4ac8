-- Title: Forecast of the Rau score
-- Description: The score that a patient's next radiograph would show, a year after the last one, with a 90 % interval and the
-- probability that it is beyond the smallest detectable change. A forecast as of an earlier date stays, so that what
-- was forecast can be laid beside what came. Method and back-test: docs/course.md; `scoring backtest` prints it for
-- this warehouse.

CREATE VIEW analyst.rau_forecast AS
SELECT
    rau_forecast.as_of,
    rau_forecast.damage,
    rau_forecast.patient_id,
    rau_forecast.horizon_months,
    rau_forecast.last_visit,
    rau_forecast.forecast_date,
    rau_forecast.n_radiographs,
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
-- One look into the index for each model, however many dates are kept.
INNER JOIN LATERAL (
    SELECT max(latest.as_of) AS as_of
    FROM analytics.rau_forecast AS latest
    WHERE latest.model_version = model_version.version
) AS newest ON TRUE
LEFT JOIN analyst.champion ON rau_forecast.model_version = champion.model_version
WHERE NOT rau_forecast.withdrawn;

COMMENT ON VIEW analyst.rau_forecast IS 'Forecast Rau score of each patient''s next radiograph, with its interval, for every date it was computed for. One row a date, model, series and patient.';
COMMENT ON COLUMN analyst.rau_forecast.as_of IS 'Only radiographs and readings delivered up to this landing folder are counted, with the values they had then; a predicted score has the value it has now.';
COMMENT ON COLUMN analyst.rau_forecast.damage IS 'Which series is continued: reported_rau (by readers) or predicted_rau (by the model). They are never mixed.';
COMMENT ON COLUMN analyst.rau_forecast.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.rau_forecast.horizon_months IS 'How long after the patient''s last radiograph the forecast radiograph is taken, months.';
COMMENT ON COLUMN analyst.rau_forecast.last_visit IS 'Date of the patient''s last radiograph of the series.';
COMMENT ON COLUMN analyst.rau_forecast.forecast_date IS 'Date that the forecast is for: horizon_months after last_visit. It may have passed, where no radiograph came since.';
COMMENT ON COLUMN analyst.rau_forecast.n_radiographs IS 'Number of visits with a score in the series; with one, the forecast rests on other patients.';
COMMENT ON COLUMN analyst.rau_forecast.n_scored IS 'Number of joints scored at last_visit; null for reported_rau, whose form the registry does not tell.';
COMMENT ON COLUMN analyst.rau_forecast.extrapolated IS 'True if fewer than 32 joints were scored at last_visit; null for reported_rau.';
COMMENT ON COLUMN analyst.rau_forecast.rau_last IS 'Rau score at last_visit, 0-190 points.';
COMMENT ON COLUMN analyst.rau_forecast.rau_level IS 'The patient''s estimated score at last_visit, cleared of error by all radiographs of the patient and by the other patients, points.';
COMMENT ON COLUMN analyst.rau_forecast.rau_expected IS 'Expected score of a radiograph taken on forecast_date, points.';
COMMENT ON COLUMN analyst.rau_forecast.rau_median IS 'Median of its distribution, points.';
COMMENT ON COLUMN analyst.rau_forecast.rau_q05 IS 'Lower end of the 90 % interval of that radiograph''s score, error of reading included, points.';
COMMENT ON COLUMN analyst.rau_forecast.rau_q95 IS 'Upper end of it, points.';
COMMENT ON COLUMN analyst.rau_forecast.p_beyond_sdc IS 'Probability, 0-1, that this radiograph scores more than 6.3 points (the smallest detectable change of human reading) above rau_last.';
COMMENT ON COLUMN analyst.rau_forecast.overdue IS 'True if forecast_date had passed on as_of: no radiograph came within the horizon.';
COMMENT ON COLUMN analyst.rau_forecast.n_patients IS 'Number of patients from whom the course of the disease was learnt.';
COMMENT ON COLUMN analyst.rau_forecast.is_newest IS 'True for the newest as_of of the model: what is forecast today.';
COMMENT ON COLUMN analyst.rau_forecast.model_version IS 'The model behind predicted_rau.';
COMMENT ON COLUMN analyst.rau_forecast.is_champion IS 'True if this is the model that the other views show today.';
COMMENT ON COLUMN analyst.rau_forecast.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; forecasts of predicted_rau say nothing about the patient.';
COMMENT ON COLUMN analyst.rau_forecast.computed_at IS 'When the forecast was last changed.';
