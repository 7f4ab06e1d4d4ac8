-- Title: Association of joint damage with disease activity over time
-- Description: At one visit damage and activity hardly go together, but activity summed over time goes before damage.
-- So four relations are asked, each of its own rows: level (a radiograph and the visit nearest to it), change (against
-- change), progression (between two radiographs, after activity a year before, meanwhile, and as a control a year after) and
-- course (damage over the years). The methods and their sources stand in docs/statistics.md.
--   Repeated-measures correlation: Bakdash JZ, Marusich LR. Front Psychol 2017;8:456.
--   Many tests: Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300.

CREATE TABLE analytics.association (
    as_of date NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    damage text NOT NULL CHECK (damage IN ('reported_rau', 'predicted_rau')),
    activity text NOT NULL CHECK (activity IN ('das28_esr4', 'das28_esr3', 'das28_crp4', 'das28_crp3', 'time')),
    relation text NOT NULL CHECK (relation IN ('level', 'change', 'progression', 'course')),
    lag_window text NOT NULL CHECK (lag_window <> ''),
    method text NOT NULL CHECK (
        method IN (
            'pearson', 'spearman', 'kendall', 'repeated_measures',
            'mixed_within', 'mixed_between', 'mixed_model', 'regression'
        )
    ),
    stratum_kind text NOT NULL CHECK (stratum_kind <> ''),
    stratum text NOT NULL CHECK (stratum <> ''),
    estimate double precision,
    ci_low double precision,
    ci_high double precision,
    confidence double precision NOT NULL CHECK (confidence > 0 AND confidence < 1),
    p_value double precision CHECK (p_value BETWEEN 0 AND 1),
    q_value double precision CHECK (q_value BETWEEN 0 AND 1),
    n_visits integer NOT NULL CHECK (n_visits >= 0),
    n_patients integer NOT NULL CHECK (n_patients BETWEEN 0 AND n_visits),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (
        as_of, model_version, damage, activity, relation, lag_window, method, stratum_kind, stratum
    ),
    CHECK (ci_low <= ci_high),
    CHECK (p_value <= q_value),
    -- Damage over the years is not damage over activity.
    CHECK ((relation = 'course') = (activity = 'time')),
    CHECK (
        method NOT IN ('pearson', 'spearman', 'kendall', 'repeated_measures')
        OR estimate IS NULL OR estimate BETWEEN -1 AND 1
    )
);

COMMENT ON TABLE analytics.association IS 'How the Rau score and disease activity go together over time, for each date, model, form of DAS28, window, method and stratum.';
COMMENT ON COLUMN analytics.association.as_of IS 'Only records delivered up to this landing folder are counted.';
COMMENT ON COLUMN analytics.association.model_version IS 'The model behind predicted_rau.';
COMMENT ON COLUMN analytics.association.damage IS 'reported_rau (by readers) or predicted_rau (by the model), 0-190 points.';
COMMENT ON COLUMN analytics.association.activity IS 'The form of DAS28, never mixed with another one; time: of a course, the years since the patient''s first radiograph.';
COMMENT ON COLUMN analytics.association.relation IS 'level: a radiograph and the visit nearest to it; change: of both between two radiographs; progression: change of damage between two radiographs, and activity summed over time; course: damage over the years.';
COMMENT ON COLUMN analytics.association.lag_window IS 'Of level and change, in which days around the radiograph the visit lies; of progression, whether activity is summed over the year_before, during, or (a control) the year_after; none.';
COMMENT ON COLUMN analytics.association.method IS 'pearson, spearman, kendall (tau-b), repeated_measures (within patients); slopes: mixed_within, mixed_between, regression, mixed_model.';
COMMENT ON COLUMN analytics.association.stratum_kind IS 'overall, year (calendar year of the radiograph, or of an interval''s last one) or severity (Rau score of the patient''s first radiograph).';
COMMENT ON COLUMN analytics.association.stratum IS 'Which of these: all; the year; below_10, 10_to_30, 30_and_more points.';
COMMENT ON COLUMN analytics.association.estimate IS 'A correlation, -1 to 1; of mixed_within and mixed_between, points for each unit of DAS28; of regression, points for each unit that lasts a year; of mixed_model, points a year. Null if not defined.';
COMMENT ON COLUMN analytics.association.ci_low IS 'Lower end of the confidence interval, which allows for patients'' returning.';
COMMENT ON COLUMN analytics.association.ci_high IS 'Upper end of it.';
COMMENT ON COLUMN analytics.association.confidence IS 'Level of the interval, such as 0.95.';
COMMENT ON COLUMN analytics.association.p_value IS 'Probability of an estimate as far from 0 if there were no association; null of a course.';
COMMENT ON COLUMN analytics.association.q_value IS 'The same after Benjamini and Hochberg, over all p values of this date and model.';
COMMENT ON COLUMN analytics.association.n_visits IS 'Number of radiographs, or of intervals between two radiographs, behind the figure; 0 if those of an earlier run are gone.';
COMMENT ON COLUMN analytics.association.n_patients IS 'Number of patients behind them.';
COMMENT ON COLUMN analytics.association.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN analytics.association.computed_at IS 'When it was changed.';
