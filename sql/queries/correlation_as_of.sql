-- Title: Correlation with DAS28 as of a date
-- Description: Shows the newest computed date that is not after the given one, here today. Weak correlations are
-- expected. The four forms of DAS28 are not interchangeable, so each has its own rows.

SELECT
    correlation.as_of, correlation.damage, correlation.activity, correlation.method,
    round(correlation.estimate::numeric, 3) AS estimate,
    round(correlation.ci_low::numeric, 3) AS ci_low, round(correlation.ci_high::numeric, 3) AS ci_high,
    correlation.n_visits, correlation.n_patients, correlation.trained_on_synthetic
FROM analyst.correlation
WHERE
    correlation.is_champion
    AND correlation.as_of = (
        SELECT max(earlier.as_of)
        FROM analyst.correlation AS earlier
        WHERE earlier.is_champion AND earlier.as_of <= current_date
    )
ORDER BY correlation.damage, correlation.activity, correlation.method;
