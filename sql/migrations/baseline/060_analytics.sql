-- Title: Statistics of damage and disease activity
-- Description: Results of the analyses, keyed by as_of, the newest batch included. Joint damage accumulates
-- whereas disease activity comes and goes, so their correlation at one visit is weak: 0.15 with DAS28-ESR and 0.08 with
-- DAS28-CRP were found in this kind of registry. A strong one indicates an error, such as rows multiplied by a join.
-- All confidence intervals are clustered by patient.
--   Repeated-measures correlation: Bakdash JZ, Marusich LR. Front Psychol 2017;8:456.
--   False discovery rate: Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300.
--   Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310.
--   Deming regression with equal error variances, because both scores have error and neither is the truth; the line is
--   the same in both directions, as a conversion requires. Linnet K. Clin Chem 1993;39:424-432. Weighted kappa: Cohen
--   J. Psychol Bull 1968;70:213-220, with squared distances of grades as weights. Smallest detectable change of human
--   readings: 6.3 of 190 points, measured on 38 joints (Rau & Wassenberg, in: Bildgebende Verfahren in der
--   Rheumatologie, 2007); scores from fewer joints are noisier.

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

COMMENT ON TABLE analytics.correlation IS 'Correlation of the Rau score, reported or predicted, with disease activity at the same visit.';
COMMENT ON COLUMN analytics.correlation.as_of IS 'Newest batch included. Registry values are as known at that date; predicted scores are the current ones.';
COMMENT ON COLUMN analytics.correlation.model_version IS 'Model used for predicted_rau.';
COMMENT ON COLUMN analytics.correlation.damage IS 'reported_rau (by readers) or predicted_rau (by the model).';
COMMENT ON COLUMN analytics.correlation.activity IS 'Measure of disease activity; the four forms of DAS28 are kept apart.';
COMMENT ON COLUMN analytics.correlation.method IS 'pearson, spearman or kendall (tau-b).';
COMMENT ON COLUMN analytics.correlation.estimate IS 'Correlation coefficient, -1 to 1; null if undefined.';
COMMENT ON COLUMN analytics.correlation.ci_low IS 'Lower end of the confidence interval, -1 to 1, clustered by patient.';
COMMENT ON COLUMN analytics.correlation.ci_high IS 'Upper end of the confidence interval, -1 to 1.';
COMMENT ON COLUMN analytics.correlation.confidence IS 'Confidence level of the interval, 0 to 1, such as 0.95.';
COMMENT ON COLUMN analytics.correlation.n_visits IS 'Number of visits that have both measures.';
COMMENT ON COLUMN analytics.correlation.n_patients IS 'Number of patients with such visits.';
COMMENT ON COLUMN analytics.correlation.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN analytics.correlation.computed_at IS 'Time of the last change.';

CREATE TABLE analytics.association (
    as_of date NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    damage text NOT NULL CHECK (damage IN ('reported_rau', 'predicted_rau')),
    activity text NOT NULL CHECK (activity IN ('das28_esr4', 'das28_esr3', 'das28_crp4', 'das28_crp3', 'time')),
    relation text NOT NULL CHECK (relation IN ('level', 'change', 'progression', 'trend')),
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
    n_observations integer NOT NULL CHECK (n_observations >= 0),
    n_patients integer NOT NULL CHECK (n_patients BETWEEN 0 AND n_observations),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (
        as_of, model_version, damage, activity, relation, lag_window, method, stratum_kind, stratum
    ),
    CHECK (ci_low <= ci_high),
    CHECK (p_value <= q_value),
    -- A trend is damage over time and involves no activity.
    CHECK ((relation = 'trend') = (activity = 'time')),
    CHECK (
        method NOT IN ('pearson', 'spearman', 'kendall', 'repeated_measures')
        OR estimate IS NULL OR estimate BETWEEN -1 AND 1
    )
);

COMMENT ON TABLE analytics.association IS 'Association of the Rau score with disease activity over time: one row per date, model, form of DAS28, relation, window, method and stratum.';
COMMENT ON COLUMN analytics.association.as_of IS 'Newest batch included. Registry values are as known at that date; predicted scores are the current ones.';
COMMENT ON COLUMN analytics.association.model_version IS 'Model used for predicted_rau.';
COMMENT ON COLUMN analytics.association.damage IS 'reported_rau (by readers) or predicted_rau (by the model), 0-190 points.';
COMMENT ON COLUMN analytics.association.activity IS 'Form of DAS28; the forms are never mixed. For a trend: time, the years since the first radiograph of the patient.';
COMMENT ON COLUMN analytics.association.relation IS 'level: a radiograph and the nearest visit; change: changes in both between two radiographs; progression: change in damage between two radiographs and time-integrated activity; trend: damage over the years.';
COMMENT ON COLUMN analytics.association.lag_window IS 'Level and change: days between radiograph and visit. Progression: activity is integrated over year_before, during, or year_after (control). Otherwise none.';
COMMENT ON COLUMN analytics.association.method IS 'Correlations: pearson, spearman, kendall (tau-b), repeated_measures (within patients). Slopes: mixed_within, mixed_between (adjusted for years since the first radiograph), regression (adjusted for the other two windows), mixed_model.';
COMMENT ON COLUMN analytics.association.stratum_kind IS 'overall; year: calendar year of the radiograph, or of the later one of an interval; severity: Rau score of the first radiograph of the patient, which is itself excluded.';
COMMENT ON COLUMN analytics.association.stratum IS 'all; the year; or below_10, 10_to_30, 30_and_more points.';
COMMENT ON COLUMN analytics.association.estimate IS 'Estimate in the unit of method. mixed_within, mixed_between: Rau points per unit of DAS28; regression: per unit sustained for one year; mixed_model: per year; other methods: a correlation. Null if undefined.';
COMMENT ON COLUMN analytics.association.ci_low IS 'Lower end of the confidence interval, clustered by patient.';
COMMENT ON COLUMN analytics.association.ci_high IS 'Upper end of the confidence interval.';
COMMENT ON COLUMN analytics.association.confidence IS 'Confidence level of the interval, 0 to 1, such as 0.95.';
COMMENT ON COLUMN analytics.association.p_value IS 'Probability of an estimate at least as far from 0 if there is no association; null for a trend.';
COMMENT ON COLUMN analytics.association.q_value IS 'p value, 0 to 1, adjusted by Benjamini and Hochberg over all results of this date and model; of the results with q below 0.05, about one in twenty is a chance finding.';
COMMENT ON COLUMN analytics.association.n_observations IS 'Number of radiographs, or of intervals between two radiographs; 0 if a later run of this date had no such observations.';
COMMENT ON COLUMN analytics.association.n_patients IS 'Number of patients with such observations.';
COMMENT ON COLUMN analytics.association.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN analytics.association.computed_at IS 'Time of the last change.';

CREATE TABLE analytics.model_comparison (
    old_model text NOT NULL REFERENCES scoring.model_version (version),
    new_model text NOT NULL REFERENCES scoring.model_version (version),
    measure text NOT NULL CHECK (measure IN ('erosion', 'rau_radiograph', 'rau_visit')),
    joint_kind text NOT NULL CHECK (joint_kind IN ('all', 'PIP', 'MCP', 'IP', 'MTP', 'wrist')),
    old_grade text NOT NULL CHECK (old_grade IN ('all', '0', '1', '2', '3', '4', '5')),
    n bigint NOT NULL CHECK (n > 0),
    mean_shift double precision NOT NULL,
    sd_shift double precision CHECK (sd_shift >= 0),
    loa_low double precision,
    loa_high double precision,
    slope double precision,
    intercept double precision,
    same_grade double precision CHECK (same_grade BETWEEN 0 AND 1),
    within_one_grade double precision CHECK (within_one_grade BETWEEN 0 AND 1),
    quadratic_weighted_kappa double precision CHECK (quadratic_weighted_kappa BETWEEN -1 AND 1),
    n_new_grade_0 bigint,
    n_new_grade_1 bigint,
    n_new_grade_2 bigint,
    n_new_grade_3 bigint,
    n_new_grade_4 bigint,
    n_new_grade_5 bigint,
    run_id uuid REFERENCES scoring.run (run_id),
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (old_model, new_model, measure, joint_kind, old_grade),
    CHECK (old_model <> new_model),
    CHECK (measure = 'erosion' OR (joint_kind = 'all' AND old_grade = 'all')),
    CHECK (loa_low <= loa_high)
);

COMMENT ON TABLE analytics.model_comparison IS 'Differences between the scores of a new champion and the previous one, over all images, radiographs and visits that both have scored.';
COMMENT ON COLUMN analytics.model_comparison.old_model IS 'Previous champion.';
COMMENT ON COLUMN analytics.model_comparison.new_model IS 'New champion.';
COMMENT ON COLUMN analytics.model_comparison.measure IS 'erosion: expected eroded share of a joint, percent; rau_radiograph, rau_visit: expected Rau score of a radiograph or visit, 0-190 points.';
COMMENT ON COLUMN analytics.model_comparison.joint_kind IS 'PIP, MCP, IP, MTP, wrist or all.';
COMMENT ON COLUMN analytics.model_comparison.old_grade IS 'Ratingen grade by the old model, or all. A shift within one grade includes regression to the mean.';
COMMENT ON COLUMN analytics.model_comparison.n IS 'Number of joint images, radiographs or visits scored by both models; Rau scores only if both models scored the same number of joints.';
COMMENT ON COLUMN analytics.model_comparison.mean_shift IS 'Mean of new minus old, in the unit of measure.';
COMMENT ON COLUMN analytics.model_comparison.sd_shift IS 'Standard deviation of new minus old, in the unit of measure; null for a single pair.';
COMMENT ON COLUMN analytics.model_comparison.loa_low IS 'Lower limit of agreement, in the unit of measure: mean_shift - 1.96 * sd_shift.';
COMMENT ON COLUMN analytics.model_comparison.loa_high IS 'Upper limit of agreement, in the unit of measure: mean_shift + 1.96 * sd_shift.';
COMMENT ON COLUMN analytics.model_comparison.slope IS 'Slope, without unit, of the Deming regression of new on old with equal error variances; null in rows of a single old_grade.';
COMMENT ON COLUMN analytics.model_comparison.intercept IS 'Intercept of the Deming regression, in the unit of measure: new = intercept + slope * old.';
COMMENT ON COLUMN analytics.model_comparison.same_grade IS 'Share of joints with the same grade from both models, 0 to 1; null for Rau scores.';
COMMENT ON COLUMN analytics.model_comparison.within_one_grade IS 'Share of joints at most one grade apart, 0 to 1; null for Rau scores.';
COMMENT ON COLUMN analytics.model_comparison.quadratic_weighted_kappa IS 'Chance-corrected agreement of the grades, -1 to 1, weighted by squared distance; null for Rau scores, in rows of a single old_grade, and if all grades are equal.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_0 IS 'Number of joints graded 0 by the new model; null for Rau scores. The rows of all values of old_grade together cross-tabulate old and new grades.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_1 IS 'Number of joints graded 1 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_2 IS 'Number of joints graded 2 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_3 IS 'Number of joints graded 3 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_4 IS 'Number of joints graded 4 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_5 IS 'Number of joints graded 5 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.run_id IS 'Rescoring that last changed the row; null if the promotion took effect at once.';
COMMENT ON COLUMN analytics.model_comparison.computed_at IS 'Time of the last change.';

-- No rows are written if too few patients have two radiographs or more.
CREATE TABLE analytics.rau_forecast (
    as_of date NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    damage text NOT NULL CHECK (damage IN ('reported_rau', 'predicted_rau')),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    horizon_months smallint NOT NULL CHECK (horizon_months > 0),
    last_visit date NOT NULL,
    forecast_date date NOT NULL,
    n_visits integer NOT NULL CHECK (n_visits > 0),
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
    -- Most queries ask for the newest date of one model.
    PRIMARY KEY (model_version, as_of, damage, patient_id, horizon_months),
    CHECK (last_visit < forecast_date),
    CHECK (rau_q05 <= rau_median AND rau_median <= rau_q95)
);

COMMENT ON TABLE analytics.rau_forecast IS 'Forecast Rau score of the next radiograph of each patient, with its interval, from a growth model with random effects.';
COMMENT ON COLUMN analytics.rau_forecast.as_of IS 'Newest batch included. Registry values are as known at that date; predicted scores are the current ones.';
COMMENT ON COLUMN analytics.rau_forecast.model_version IS 'Model used for predicted_rau.';
COMMENT ON COLUMN analytics.rau_forecast.damage IS 'Forecast series: reported_rau (by readers) or predicted_rau (by the model). The two are never mixed.';
COMMENT ON COLUMN analytics.rau_forecast.patient_id IS 'Patient pseudonym from the registry.';
COMMENT ON COLUMN analytics.rau_forecast.horizon_months IS 'Time from the last radiograph to the forecast one, in months.';
COMMENT ON COLUMN analytics.rau_forecast.last_visit IS 'Date of the last visit of the series.';
COMMENT ON COLUMN analytics.rau_forecast.forecast_date IS 'Date of the forecast: horizon_months after last_visit. It is in the past if no radiograph has arrived since.';
COMMENT ON COLUMN analytics.rau_forecast.n_visits IS 'Number of visits with a score in the series; with only one, the forecast relies on other patients.';
COMMENT ON COLUMN analytics.rau_forecast.n_scored IS 'Number of joints scored at last_visit; null for reported_rau, because the registry does not report it.';
COMMENT ON COLUMN analytics.rau_forecast.rau_last IS 'Rau score at last_visit, 0-190 points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_level IS 'Estimated score at last_visit without measurement error, points; based on all radiographs of the patient and on other patients.';
COMMENT ON COLUMN analytics.rau_forecast.rau_expected IS 'Expected score of a radiograph taken on forecast_date, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_median IS 'Median of the forecast distribution, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_q05 IS 'Lower end of the 90 % interval of that score, including measurement error, points.';
COMMENT ON COLUMN analytics.rau_forecast.rau_q95 IS 'Upper end of the 90 % interval of that score, points.';
COMMENT ON COLUMN analytics.rau_forecast.p_beyond_sdc IS 'Probability, 0-1, that the score exceeds rau_last by more than 6.3 points, the smallest detectable change of human readings.';
COMMENT ON COLUMN analytics.rau_forecast.n_patients IS 'Number of patients used to fit the progression model.';
COMMENT ON COLUMN analytics.rau_forecast.withdrawn IS 'True if a later run as of the same date no longer forecast this series, for example because a radiograph was assigned to another patient. Exclude such rows.';
COMMENT ON COLUMN analytics.rau_forecast.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN analytics.rau_forecast.computed_at IS 'Time of the last change.';

-- PostgreSQL has erf() only from version 16. Abramowitz M, Stegun IA. Handbook of Mathematical Functions, 1964,
-- 26.2.17; the error is below 7.5e-8. Beyond 8 standard deviations the value is 0 or 1 within that precision.
CREATE FUNCTION analytics.normal_cdf(z double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    x CONSTANT double precision := least(abs(z), 8);
    t CONSTANT double precision := 1 / (1 + 0.2316419 * x);
    upper_tail CONSTANT double precision := exp(-x * x / 2) / sqrt(2 * pi()) * t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    );
BEGIN
    RETURN CASE WHEN z > 0 THEN 1 - upper_tail ELSE upper_tail END;
END
$$;

COMMENT ON FUNCTION analytics.normal_cdf(double precision) IS 'Probability that a standard normal variable is at most z; error below 7.5e-8.';
