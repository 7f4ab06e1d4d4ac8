-- Title: Association of damage with disease activity over time
-- Description: How reported and predicted Rau scores go with DAS28: at one time, in their changes, and in progression
-- after activity. Every interval allows for patients' returning. Figures of fewer than five patients are suppressed.
-- Some of hundreds of figures lie far from 0 by chance: `q_value` allows for it. Methods: docs/statistics.md.

CREATE VIEW analyst.association AS
WITH shown AS (
    SELECT
        association.*,
        association.n_patients < 5 AS suppressed
    FROM analytics.association
    WHERE association.n_visits > 0
)

SELECT
    shown.as_of,
    shown.damage,
    shown.activity,
    shown.relation,
    shown.lag_window,
    shown.method,
    shown.stratum_kind,
    shown.stratum,
    CASE WHEN NOT shown.suppressed THEN shown.estimate END AS estimate,
    CASE WHEN NOT shown.suppressed THEN shown.ci_low END AS ci_low,
    CASE WHEN NOT shown.suppressed THEN shown.ci_high END AS ci_high,
    shown.confidence,
    CASE
        WHEN shown.method IN ('mixed_within', 'mixed_between') THEN 'points per unit of DAS28'
        WHEN shown.method = 'regression' THEN 'points per unit of DAS28 and year'
        WHEN shown.method = 'mixed_model' THEN 'points per year'
        ELSE 'correlation'
    END AS unit,
    CASE WHEN NOT shown.suppressed THEN shown.p_value END AS p_value,
    CASE WHEN NOT shown.suppressed THEN shown.q_value END AS q_value,
    CASE WHEN NOT shown.suppressed THEN shown.n_visits END AS n_visits,
    CASE WHEN NOT shown.suppressed THEN shown.n_patients END AS n_patients,
    shown.suppressed,
    shown.model_version,
    coalesce(shown.model_version = champion.model_version, FALSE) AS is_champion,
    model_version.trained_on_synthetic,
    shown.computed_at
FROM shown
INNER JOIN scoring.model_version ON shown.model_version = model_version.version
LEFT JOIN analyst.champion ON shown.model_version = champion.model_version;

COMMENT ON VIEW analyst.association IS 'How the Rau score and DAS28 go together over time, for every date it was computed for.';
COMMENT ON COLUMN analyst.association.as_of IS 'Only records delivered up to this landing folder are counted, with the values they had then; a predicted score has the value it has now.';
COMMENT ON COLUMN analyst.association.damage IS 'reported_rau (by readers) or predicted_rau (by the model), 0-190 points.';
COMMENT ON COLUMN analyst.association.activity IS 'The form of DAS28, never mixed with another one; time: of a course, the years since the patient''s first radiograph.';
COMMENT ON COLUMN analyst.association.relation IS 'level: a radiograph and the visit nearest to it; change: of both between two radiographs; progression: change of damage between two radiographs, and activity summed over time; course: damage over the years.';
COMMENT ON COLUMN analyst.association.lag_window IS 'Of level and change, in which days around the radiograph the visit lies; of progression, whether activity is summed over the year_before, during, or (a control) the year_after; none.';
COMMENT ON COLUMN analyst.association.method IS 'pearson, spearman, kendall (tau-b), repeated_measures (within patients); slopes: mixed_within, mixed_between (given the years since the first radiograph), regression (given the other two windows), mixed_model.';
COMMENT ON COLUMN analyst.association.stratum_kind IS 'overall, year (calendar year of the radiograph, or of an interval''s last one) or severity (Rau score of the patient''s first radiograph, which itself is left out).';
COMMENT ON COLUMN analyst.association.stratum IS 'Which of these: all; the year; below_10, 10_to_30, 30_and_more points.';
COMMENT ON COLUMN analyst.association.estimate IS 'The figure, on the scale of unit, the column of that name; null if not defined or suppressed.';
COMMENT ON COLUMN analyst.association.ci_low IS 'Lower end of the confidence interval, on the scale of unit.';
COMMENT ON COLUMN analyst.association.ci_high IS 'Upper end of it, on the scale of unit.';
COMMENT ON COLUMN analyst.association.confidence IS 'Level of the interval, 0 to 1, such as 0.95.';
COMMENT ON COLUMN analyst.association.unit IS 'correlation (-1 to 1), or points of the Rau score per unit of DAS28, per unit that lasts a year, or per year.';
COMMENT ON COLUMN analyst.association.p_value IS 'Probability of an estimate as far from 0 if there were no association; null of a course.';
COMMENT ON COLUMN analyst.association.q_value IS 'The same after Benjamini and Hochberg, 0 to 1, over all figures of this date and model; of those with q below 0.05, about one in twenty is by chance.';
COMMENT ON COLUMN analyst.association.n_visits IS 'Number of radiographs (level, course) or intervals between two radiographs (change, progression) behind the figure.';
COMMENT ON COLUMN analyst.association.n_patients IS 'Number of patients behind them.';
COMMENT ON COLUMN analyst.association.suppressed IS 'True: fewer than five patients, so neither figure nor numbers are shown.';
COMMENT ON COLUMN analyst.association.model_version IS 'The model behind predicted_rau.';
COMMENT ON COLUMN analyst.association.is_champion IS 'True for the model that the other views show; filter by it.';
COMMENT ON COLUMN analyst.association.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; predicted_rau says nothing about patients.';
COMMENT ON COLUMN analyst.association.computed_at IS 'When the figure was last changed.';
