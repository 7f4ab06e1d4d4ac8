-- Title: Does activity go before progression?
-- Description: Activity summed over time against the change of the Rau score between two radiographs: a year before the
-- interval, during it, and a year after it. `points` are what the score gains for each unit of DAS28 that lasts a year,
-- given the other two windows. Damage cannot follow from what came later: if the year after is far from 0, patients
-- differ in something that drives both, and the other two are not to be read as effects. `by_chance` allows for all the
-- figures that were asked at once.

SELECT
    association.damage,
    association.activity,
    association.lag_window,
    round(max(association.estimate) FILTER (WHERE association.method = 'spearman')::numeric, 3) AS spearman,
    round(max(association.estimate) FILTER (WHERE association.method = 'regression')::numeric, 2) AS points,
    round(max(association.ci_low) FILTER (WHERE association.method = 'regression')::numeric, 2) AS points_low,
    round(max(association.ci_high) FILTER (WHERE association.method = 'regression')::numeric, 2) AS points_high,
    max(association.q_value) FILTER (WHERE association.method = 'regression') >= 0.05 AS by_chance,
    max(association.n_visits) FILTER (WHERE association.method = 'regression') AS n_intervals,
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
    association.damage,
    association.activity,
    array_position(ARRAY['year_before', 'during', 'year_after'], association.lag_window);
