-- Title: Change of the Rau score from one visit to the next
-- Description: Who got worse, beyond what two human readings can tell from error (6.3 points), with the probability
-- that the true change is as large. Improvements stand at the end. Rows without a course compare different numbers of
-- joints. Shown is what was seen in the year before the last night; leave that condition out for the whole history.

SELECT
    radiograph_pair.patient_id,
    radiograph_pair.damage,
    radiograph_pair.from_date,
    radiograph_pair.to_date,
    round(radiograph_pair.rau_before::numeric, 1) AS rau_before,
    round(radiograph_pair.rau_after::numeric, 1) AS rau_after,
    round(radiograph_pair.rau_change::numeric, 1) AS rau_change,
    round(radiograph_pair.change_per_year::numeric, 1) AS change_per_year,
    radiograph_pair.course,
    round(radiograph_pair.probability_of_progression::numeric, 3) AS probability_of_progression,
    round(radiograph_pair.probability_of_detectable_progression::numeric, 3) AS probability_of_detectable_progression,
    radiograph_pair.n_scored_after AS n_scored,
    radiograph_pair.trained_on_synthetic
FROM analyst.rau_progression AS radiograph_pair
WHERE
    radiograph_pair.to_date > (
        SELECT max(night.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE night.job = 'nightly_scoring'
    )
ORDER BY radiograph_pair.damage ASC, radiograph_pair.rau_change DESC, radiograph_pair.patient_id ASC, radiograph_pair.to_date ASC;
