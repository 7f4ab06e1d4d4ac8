-- Title: Time-integrated activity and progression
-- Description: For each pair of consecutive radiographs, the mean four-variable DAS28-ESR between them and the change
-- of the reported Rau score per year. Over time activity and damage are related, whereas at a single visit the relation
-- is weak. The query can use another form or the predicted score, but only one of each at a time. It shows intervals
-- that ended in the year before the last batch; remove that condition for the whole history.

SELECT
    progression.patient_id, progression.from_date, progression.to_date,
    round(integrated.mean_das28::numeric, 2) AS mean_das28,
    round(integrated.das28_years::numeric, 2) AS das28_years,
    integrated.n_activity_visits, round(integrated.covered_share::numeric, 2) AS covered_share,
    round(progression.change_per_year::numeric, 1) AS rau_change_per_year
FROM analyst.rau_progression AS progression
INNER JOIN analyst.activity_between_radiographs AS integrated
    ON progression.patient_id = integrated.patient_id
    AND progression.damage = integrated.damage
    AND progression.from_date = integrated.from_date
    AND progression.to_date = integrated.to_date
WHERE
    progression.damage = 'reported_rau'
    AND integrated.activity = 'das28_esr4'
    AND integrated.to_date > (
        SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
ORDER BY integrated.mean_das28 DESC NULLS LAST, progression.patient_id ASC, progression.from_date ASC;
