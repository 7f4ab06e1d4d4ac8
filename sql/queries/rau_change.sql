-- Title: Change of the Rau score between visits
-- Description: Changes between consecutive visits, largest increase first, with their class and the probability that
-- the true change exceeds the error of human readings (6.3 points). change_class is null if the visits have different
-- numbers of scored joints. The query shows visits of the year before the last batch; remove that condition for the
-- whole history.

SELECT
    progression.patient_id, progression.damage, progression.from_date, progression.to_date,
    round(progression.rau_before::numeric, 1) AS rau_before,
    round(progression.rau_after::numeric, 1) AS rau_after,
    round(progression.rau_change::numeric, 1) AS rau_change,
    round(progression.change_per_year::numeric, 1) AS change_per_year,
    progression.change_class,
    round(progression.probability_of_progression::numeric, 3) AS probability_of_progression,
    round(progression.probability_of_detectable_progression::numeric, 3) AS probability_of_detectable_progression,
    progression.n_scored_after AS n_scored, progression.trained_on_synthetic
FROM analyst.rau_progression AS progression
WHERE
    progression.to_date > (
        SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
ORDER BY progression.damage ASC, progression.rau_change DESC, progression.patient_id ASC, progression.to_date ASC;
