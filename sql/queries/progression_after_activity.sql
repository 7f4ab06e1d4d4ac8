-- Title: Does activity go before progression?
-- Description: Points that the Rau score gains for each unit of DAS28 that lasts a year: a year before the interval
-- between two films, during it, and a year after it, each given the other two. Damage cannot follow from what came
-- later: if the year after is far from 0, patients differ in something that drives both, and the other two are not to
-- be read as effects. `by_chance` allows for all the figures that were asked at once.

SELECT
    association.as_of,
    association.damage,
    association.activity,
    association.lag_window,
    round(association.estimate::numeric, 2) AS points,
    round(association.ci_low::numeric, 2) AS ci_low,
    round(association.ci_high::numeric, 2) AS ci_high,
    association.q_value >= 0.05 AS by_chance,
    association.n_visits AS n_intervals,
    association.n_patients,
    association.suppressed,
    association.trained_on_synthetic
FROM analyst.association
WHERE
    association.is_champion
    AND association.relation = 'progression'
    AND association.method = 'regression'
    AND association.stratum_kind = 'overall'
    AND association.as_of = (
        SELECT max(earlier.as_of)
        FROM analyst.association AS earlier
        WHERE earlier.is_champion AND earlier.as_of <= current_date
    )
ORDER BY
    association.damage,
    association.activity,
    array_position(ARRAY['year_before', 'during', 'year_after'], association.lag_window);
