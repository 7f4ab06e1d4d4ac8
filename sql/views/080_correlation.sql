-- Title: Correlation of damage with disease activity
-- Description: How reported and predicted Rau scores go with disease activity at the same visit, as of a date. A weak
-- correlation is expected (0.15 and 0.08 are published for this kind of registry); a strong one points to an error.
-- Figures of fewer than five patients are suppressed.

CREATE VIEW analyst.correlation AS
WITH shown AS (
    SELECT
        correlation.*,
        correlation.n_patients < 5 AS suppressed
    FROM analytics.correlation
)

SELECT
    shown.as_of,
    shown.damage,
    shown.activity,
    shown.method,
    CASE WHEN NOT shown.suppressed THEN shown.estimate END AS estimate,
    CASE WHEN NOT shown.suppressed THEN shown.ci_low END AS ci_low,
    CASE WHEN NOT shown.suppressed THEN shown.ci_high END AS ci_high,
    shown.confidence,
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

COMMENT ON VIEW analyst.correlation IS 'Correlation of the Rau score with disease activity, for every date it was computed for.';
COMMENT ON COLUMN analyst.correlation.as_of IS 'Only records delivered up to this landing folder are counted, with the values they had then; a predicted score has the value it has now.';
COMMENT ON COLUMN analyst.correlation.damage IS 'reported_rau (by readers) or predicted_rau (by the model).';
COMMENT ON COLUMN analyst.correlation.activity IS 'Measure of disease activity; the forms of DAS28 are kept apart.';
COMMENT ON COLUMN analyst.correlation.method IS 'pearson, spearman or kendall (tau-b).';
COMMENT ON COLUMN analyst.correlation.estimate IS 'Correlation coefficient, -1 to 1; null if it is not defined or suppressed.';
COMMENT ON COLUMN analyst.correlation.ci_low IS 'Lower end of the confidence interval, -1 to 1, which allows for patients'' returning.';
COMMENT ON COLUMN analyst.correlation.ci_high IS 'Upper end of it, -1 to 1.';
COMMENT ON COLUMN analyst.correlation.confidence IS 'Level of the interval, 0 to 1, such as 0.95.';
COMMENT ON COLUMN analyst.correlation.n_visits IS 'Number of visits that have both measures.';
COMMENT ON COLUMN analyst.correlation.n_patients IS 'Number of patients behind those visits.';
COMMENT ON COLUMN analyst.correlation.suppressed IS 'True: fewer than five patients, so neither figure nor numbers are shown.';
COMMENT ON COLUMN analyst.correlation.model_version IS 'The model behind predicted_rau.';
COMMENT ON COLUMN analyst.correlation.is_champion IS 'True for the model that the other views show; filter by it.';
COMMENT ON COLUMN analyst.correlation.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; predicted_rau says nothing about patients.';
COMMENT ON COLUMN analyst.correlation.computed_at IS 'When the figure was last changed.';
