-- Title: Correlation of damage with disease activity
-- Description: How reported and predicted Rau scores go with disease activity at the same visit, as of a date. A weak
-- correlation is expected (0.15 and 0.08 are published for this kind of registry); a strong one points to an error.

CREATE VIEW analyst.correlation AS
SELECT
    correlation.as_of,
    correlation.damage,
    correlation.activity,
    correlation.method,
    correlation.estimate,
    correlation.ci_low,
    correlation.ci_high,
    correlation.confidence,
    correlation.n_visits,
    correlation.n_patients,
    correlation.model_version,
    coalesce(correlation.model_version = champion.model_version, FALSE) AS is_champion,
    model_version.trained_on_synthetic,
    correlation.computed_at
FROM analytics.correlation
INNER JOIN scoring.model_version ON correlation.model_version = model_version.version
LEFT JOIN analyst.champion ON correlation.model_version = champion.model_version;
