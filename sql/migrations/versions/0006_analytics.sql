-- Title: Correlation of joint damage with disease activity
-- Description: Damage accumulates and activity passes, so the true correlation at one visit is weak: 0.15 with
-- DAS28-ESR and 0.08 with DAS28-CRP were found for the Rau score of this kind of registry. A strong one points to an
-- error, such as rows multiplied by a join. Intervals are made by drawing patients, not visits, as patients repeat.

CREATE TABLE analytics.correlation (
    as_of date NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    damage text NOT NULL CHECK (damage IN ('reported_rau', 'predicted_rau')),
    activity text NOT NULL CHECK (
        activity IN ('das28_esr4', 'das28_esr3', 'das28_crp4', 'das28_crp3', 'physician_global', 'patient_global')
    ),
    method text NOT NULL CHECK (method IN ('pearson', 'spearman', 'kendall')),
    estimate double precision CHECK (estimate BETWEEN -1 AND 1),
    ci_low double precision CHECK (ci_low BETWEEN -1 AND 1),
    ci_high double precision CHECK (ci_high BETWEEN -1 AND 1),
    confidence double precision NOT NULL CHECK (confidence > 0 AND confidence < 1),
    n_visits integer NOT NULL CHECK (n_visits >= 0),
    n_patients integer NOT NULL CHECK (n_patients BETWEEN 0 AND n_visits),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (as_of, model_version, damage, activity, method),
    CHECK (ci_low <= ci_high)
);

COMMENT ON TABLE analytics.correlation IS 'Correlation of reported and predicted Rau score with disease activity at the same visit.';
COMMENT ON COLUMN analytics.correlation.as_of IS 'Only records delivered up to this landing folder are counted.';
COMMENT ON COLUMN analytics.correlation.model_version IS 'The model behind predicted_rau.';
COMMENT ON COLUMN analytics.correlation.damage IS 'reported_rau (by readers) or predicted_rau (by the model).';
COMMENT ON COLUMN analytics.correlation.activity IS 'Measure of disease activity; the forms of DAS28 are kept apart.';
COMMENT ON COLUMN analytics.correlation.method IS 'pearson, spearman or kendall (tau-b).';
COMMENT ON COLUMN analytics.correlation.estimate IS 'Correlation coefficient, -1 to 1; null if it is not defined.';
COMMENT ON COLUMN analytics.correlation.ci_low IS 'Lower end of the confidence interval.';
COMMENT ON COLUMN analytics.correlation.ci_high IS 'Upper end of the confidence interval.';
COMMENT ON COLUMN analytics.correlation.confidence IS 'Level of the interval, such as 0.95.';
COMMENT ON COLUMN analytics.correlation.n_visits IS 'Number of visits that have both measures.';
COMMENT ON COLUMN analytics.correlation.n_patients IS 'Number of patients behind those visits.';
COMMENT ON COLUMN analytics.correlation.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN analytics.correlation.computed_at IS 'When it was changed.';
