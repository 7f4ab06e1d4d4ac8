-- Title: Change of the Rau score from one visit to the next
-- Description: Who got worse, beyond what two human readings can tell from error (6.3 points), with the probability
-- that the true change is as large. Improvements stand at the end. Rows without a course compare different numbers of
-- joints. Shown is what was seen in the year before the last night; leave that condition out for the whole history.

SELECT
    film_pair.patient_id,
    film_pair.damage,
    film_pair.from_date,
    film_pair.to_date,
    round(film_pair.rau_before::numeric, 1) AS rau_before,
    round(film_pair.rau_after::numeric, 1) AS rau_after,
    round(film_pair.rau_change::numeric, 1) AS rau_change,
    round(film_pair.change_per_year::numeric, 1) AS change_per_year,
    film_pair.course,
    round(film_pair.probability_of_progression::numeric, 3) AS probability_of_progression,
    round(film_pair.probability_of_detectable_progression::numeric, 3) AS probability_of_detectable_progression,
    film_pair.n_scored_after AS n_scored,
    film_pair.trained_on_synthetic
FROM analyst.rau_progression AS film_pair
WHERE
    film_pair.to_date > (
        SELECT max(night.batch_date) - 365 FROM analyst.night
        WHERE night.job = 'nightly_scoring'
    )
ORDER BY film_pair.damage ASC, film_pair.rau_change DESC, film_pair.patient_id ASC, film_pair.to_date ASC;
