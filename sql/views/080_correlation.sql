-- Title: Correlation of damage with disease activity
-- Description: Correlation of reported and predicted Rau scores with disease activity at the same visit, as of a date.
-- A weak correlation is expected (0.15 and 0.08 are published for this kind of registry); a strong one indicates an
-- error. Results from fewer than 5 patients are suppressed.

CREATE VIEW analyst.correlation AS
WITH shown AS (
    SELECT correlation.*, correlation.n_patients < 5 AS suppressed
    FROM analytics.correlation
)

SELECT
    shown.as_of, shown.damage, shown.activity, shown.method,
    CASE WHEN NOT shown.suppressed THEN shown.estimate END AS estimate,
    CASE WHEN NOT shown.suppressed THEN shown.ci_low END AS ci_low,
    CASE WHEN NOT shown.suppressed THEN shown.ci_high END AS ci_high,
    shown.confidence,
    CASE WHEN NOT shown.suppressed THEN shown.n_visits END AS n_visits,
    CASE WHEN NOT shown.suppressed THEN shown.n_patients END AS n_patients,
    shown.suppressed,
    shown.model_version, coalesce(shown.model_version = champion.model_version, FALSE) AS is_champion,
    scorer.trained_on_synthetic, shown.computed_at
FROM shown
INNER JOIN scoring.model_version AS scorer ON shown.model_version = scorer.version
LEFT JOIN analyst.champion ON shown.model_version = champion.model_version;

COMMENT ON VIEW analyst.correlation IS 'Correlation of the Rau score with disease activity, for every computed date.';
COMMENT ON COLUMN analyst.correlation.estimate IS 'Correlation coefficient, -1 to 1; null if undefined or suppressed.';
