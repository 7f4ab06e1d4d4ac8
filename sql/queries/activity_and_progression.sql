-- Title: Activity summed over time against progression
-- Description: For each two consecutive radiographs the mean DAS28-ESR (four variables) between them, and how fast the
-- reported Rau score changed over the same time. This is where a relation of activity and damage shows; that of one
-- visit is weak. Name another form or the predicted score, but never two at once. Shown are intervals that ended in the
-- year before the last night; leave that condition out for the whole history.

SELECT
    progression.patient_id,
    progression.from_date,
    progression.to_date,
    round(activity.mean_das28::numeric, 2) AS mean_das28,
    round(activity.das28_years::numeric, 2) AS das28_years,
    activity.n_activity_visits,
    round(activity.covered_share::numeric, 2) AS covered_share,
    round(progression.change_per_year::numeric, 1) AS rau_change_per_year
FROM analyst.rau_progression AS progression
INNER JOIN analyst.activity_between_radiographs AS activity
    ON progression.patient_id = activity.patient_id
    AND progression.damage = activity.damage
    AND progression.from_date = activity.from_date
    AND progression.to_date = activity.to_date
WHERE
    progression.damage = 'reported_rau'
    AND activity.form = 'das28_esr4'
    AND activity.to_date > (
        SELECT max(night.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE night.job = 'nightly_scoring'
    )
ORDER BY activity.mean_das28 DESC NULLS LAST, progression.patient_id ASC, progression.from_date ASC;
