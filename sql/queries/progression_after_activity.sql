-- Title: Activity before, during and after progression
-- Description: Activity integrated over the year before an interval between two radiographs, over the interval, and
-- over the year after it, against the change of the Rau score in the interval. points are Rau points per unit of DAS28
-- sustained for one year, adjusted for the other two windows. Activity after the interval cannot cause the damage in
-- it: if year_after is far from 0, patients differ in a factor that influences both, and the other windows must not be
-- read as effects. by_chance is true if the q value, which accounts for the number of tests, is 0.05 or more.

SELECT
    association.damage, association.activity, association.lag_window,
    round(max(association.estimate) FILTER (WHERE association.method = 'spearman')::numeric, 3) AS spearman,
    round(max(association.estimate) FILTER (WHERE association.method = 'regression')::numeric, 2) AS points,
    round(max(association.ci_low) FILTER (WHERE association.method = 'regression')::numeric, 2) AS points_low,
    round(max(association.ci_high) FILTER (WHERE association.method = 'regression')::numeric, 2) AS points_high,
    max(association.q_value) FILTER (WHERE association.method = 'regression') >= 0.05 AS by_chance,
    max(association.n_observations) FILTER (WHERE association.method = 'regression') AS n_intervals,
    max(association.n_patients) FILTER (WHERE association.method = 'regression') AS n_patients,
    association.trained_on_synthetic
FROM analyst.association
WHERE
    association.is_champion
    AND association.relation = 'progression'
    AND association.stratum_kind = 'overall'
    AND association.as_of = (
        SELECT max(earlier.as_of)
        FROM analyst.association AS earlier
        WHERE earlier.is_champion AND earlier.as_of <= current_date
    )
GROUP BY association.damage, association.activity, association.lag_window, association.trained_on_synthetic
ORDER BY
    association.damage, association.activity,
    array_position(ARRAY['year_before', 'during', 'year_after'], association.lag_window);
