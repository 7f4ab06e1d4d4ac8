-- Title: Association of damage with disease activity over time
-- Description: Association of reported and predicted Rau scores with DAS28: at one time, between their changes, and of
-- progression with preceding activity. Intervals are clustered by patient. Results from fewer than 5 patients are
-- suppressed. Among hundreds of results, some are far from 0 by chance; q_value accounts for this.

CREATE VIEW analyst.association AS
WITH shown AS (
    SELECT association.*, association.n_patients < 5 AS suppressed
    FROM analytics.association
    WHERE association.n_observations > 0
)

SELECT
    shown.as_of, shown.damage, shown.activity, shown.relation, shown.lag_window, shown.method,
    shown.stratum_kind, shown.stratum,
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
    CASE WHEN NOT shown.suppressed THEN shown.n_observations END AS n_observations,
    CASE WHEN NOT shown.suppressed THEN shown.n_patients END AS n_patients,
    shown.suppressed,
    shown.model_version, coalesce(shown.model_version = champion.model_version, FALSE) AS is_champion,
    scorer.trained_on_synthetic, shown.computed_at
FROM shown
INNER JOIN scoring.model_version AS scorer ON shown.model_version = scorer.version
LEFT JOIN analyst.champion ON shown.model_version = champion.model_version;

COMMENT ON VIEW analyst.association IS 'Association of the Rau score with DAS28 over time, for every computed date.';
COMMENT ON COLUMN analyst.association.estimate IS 'Estimate, on the scale of unit (see that column); null if undefined or suppressed.';
COMMENT ON COLUMN analyst.association.ci_low IS 'Lower end of the confidence interval, on the scale of unit.';
COMMENT ON COLUMN analyst.association.ci_high IS 'Upper end of the confidence interval, on the scale of unit.';
COMMENT ON COLUMN analyst.association.unit IS 'correlation (-1 to 1), or Rau points per unit of DAS28, per unit of DAS28 and year, or per year.';
COMMENT ON COLUMN analyst.association.n_observations IS 'Number of radiographs (level, trend) or of intervals between two radiographs (change, progression).';
