-- Title: Damage and activity between and within patients, by the time between radiograph and visit
-- Description: Pearson's correlation mixes two questions: whether patients with more damage have more active disease
-- than others, and whether the disease of a patient is more active when their damage is greater. The other columns
-- separate the two. The query uses reported scores and DAS28-ESR only. Weak associations are expected.

SELECT
    association.lag_window,
    round(max(association.estimate) FILTER (WHERE association.method = 'pearson')::numeric, 3) AS pearson,
    round(max(association.ci_low) FILTER (WHERE association.method = 'pearson')::numeric, 3) AS ci_low,
    round(max(association.ci_high) FILTER (WHERE association.method = 'pearson')::numeric, 3) AS ci_high,
    round(max(association.estimate) FILTER (WHERE association.method = 'spearman')::numeric, 3) AS spearman,
    round(
        max(association.estimate) FILTER (WHERE association.method = 'repeated_measures')::numeric, 3
    ) AS within_patients,
    round(
        max(association.estimate) FILTER (WHERE association.method = 'mixed_within')::numeric, 2
    ) AS points_per_unit_within,
    round(
        max(association.estimate) FILTER (WHERE association.method = 'mixed_between')::numeric, 2
    ) AS points_per_unit_between,
    max(association.n_observations) FILTER (WHERE association.method = 'pearson') AS n_radiographs,
    max(association.n_patients) FILTER (WHERE association.method = 'pearson') AS n_patients
FROM analyst.association
WHERE
    association.is_champion
    AND association.relation = 'level'
    AND association.stratum_kind = 'overall'
    AND association.damage = 'reported_rau'
    AND association.activity = 'das28_esr4'
    AND association.as_of = (
        SELECT max(earlier.as_of)
        FROM analyst.association AS earlier
        WHERE earlier.is_champion AND earlier.as_of <= current_date
    )
GROUP BY association.lag_window
ORDER BY n_radiographs DESC, association.lag_window ASC;
