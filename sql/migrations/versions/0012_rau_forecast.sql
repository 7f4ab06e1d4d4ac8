-- Title: Forecasts of the Rau score
-- Description: Where the series of a patient's Rau scores will stand at a next radiograph, from a growth model with random
-- effects; docs/course.md has the model, its sources and how well it forecast the last radiographs. Too few patients with two
-- radiographs or more: no model, no rows. The smallest detectable change of human readings is 6.3 points of 190 (Rau &
-- Wassenberg 2007); it was measured on 38 joints, and scores from fewer are noisier.

CREATE TABLE analytics.rau_forecast (
    as_of date NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    damage text NOT NULL CHECK (damage IN ('reported_rau', 'predicted_rau')),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    horizon_months smallint NOT NULL CHECK (horizon_months > 0),
    last_visit date NOT NULL,
    forecast_date date NOT NULL,
    n_radiographs integer NOT NULL CHECK (n_radiographs > 0),
    n_scored smallint CHECK (n_scored BETWEEN 1 AND 38),
    rau_last double precision NOT NULL CHECK (rau_last BETWEEN 0 AND 190),
    rau_level double precision NOT NULL CHECK (rau_level BETWEEN 0 AND 190),
    rau_expected double precision NOT NULL CHECK (rau_expected BETWEEN 0 AND 190),
    rau_median double precision NOT NULL CHECK (rau_median BETWEEN 0 AND 190),
    rau_q05 double precision NOT NULL CHECK (rau_q05 BETWEEN 0 AND 190),
    rau_q95 double precision NOT NULL CHECK (rau_q95 BETWEEN 0 AND 190),
    p_beyond_sdc double precision NOT NULL CHECK (p_beyond_sdc BETWEEN 0 AND 1),
    n_patients integer NOT NULL CHECK (n_patients > 0),
    withdrawn boolean NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    computed_at timestamptz NOT NULL DEFAULT now(),
    -- The newest date of a model is asked for most.
    PRIMARY KEY (model_version, as_of, damage, patient_id, horizon_months),
    CHECK (last_visit < forecast_date),
    CHECK (rau_q05 <= rau_median AND rau_median <= rau_q95)
);

COMMENT ON TABLE analytics.rau_forecast IS 'Rau score that each patient''s next radiograph would show, with its interval, as of a date.';
COMMENT ON COLUMN analytics.rau_forecast.as_of IS 'Only radiographs and readings delivered up to this landing folder are counted.';
COMMENT ON COLUMN analytics.rau_forecast.model_version IS 'The model behind predicted_rau.';
COMMENT ON COLUMN analytics.rau_forecast.damage IS 'Which series is continued: reported_rau (by readers) or predicted_rau (by the model). They are never mixed.';
COMMENT ON COLUMN analytics.rau_forecast.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analytics.rau_forecast.horizon_months IS 'How long after the patient''s last radiograph the forecast radiograph is taken, months.';
COMMENT ON COLUMN analytics.rau_forecast.last_visit IS 'Date of the patient''s last radiograph of the series.';
COMMENT ON COLUMN analytics.rau_forecast.forecast_date IS 'Date that the forecast is for: horizon_months after last_visit. It may have passed, where no radiograph came since.';
COMMENT ON COLUMN analytics.rau_forecast.n_radiographs IS 'Number of visits with a score in the series; with one, the forecast rests on other patients.';
COMMENT ON COLUMN analytics.rau_forecast.n_scored IS 'Number of joints scored at last_visit; null for reported_rau, whose form the registry does not tell.';
COMMENT ON COLUMN analytics.rau_forecast.rau_last IS 'Rau score at last_visit, 0-190 points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_level IS 'The patient''s estimated score at last_visit, cleared of error by all radiographs of the patient and by the other patients, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_expected IS 'Expected score of a radiograph taken on forecast_date, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_median IS 'Median of its distribution, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_q05 IS 'Lower end of the 90 % interval of that radiograph''s score, error of reading included, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_q95 IS 'Upper end of it, points.';
COMMENT ON COLUMN analytics.rau_forecast.p_beyond_sdc IS 'Probability, 0-1, that this radiograph scores more than 6.3 points (the smallest detectable change of human reading) above rau_last.';
COMMENT ON COLUMN analytics.rau_forecast.n_patients IS 'Patients from whom the course of the disease was learnt.';
COMMENT ON COLUMN analytics.rau_forecast.withdrawn IS 'True if a later look as of the same date found no series of the patient any more, such as after a radiograph was given to another patient. Leave these out.';
COMMENT ON COLUMN analytics.rau_forecast.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN analytics.rau_forecast.computed_at IS 'When it was changed.';
