-- Title: Change of the Rau score from one visit to the next
-- Description: Compares each visit with the patient's previous one, but only where equally many joints were scored.
-- 6.3 points is the smallest change that two human readings can tell from error (3.3 % of 190; Rau & Wassenberg 2007);
-- the model's own limit may be wider, which is why both intervals stand beside it.

WITH scored AS (
    SELECT
        rau.patient_id,
        rau.visit_date,
        rau.rau_expected,
        rau.rau_q05,
        rau.rau_q95,
        rau.n_scored,
        rau.trained_on_synthetic,
        lag(rau.visit_date) OVER visits AS previous_visit,
        lag(rau.rau_expected) OVER visits AS previous_rau,
        lag(rau.rau_q05) OVER visits AS previous_q05,
        lag(rau.rau_q95) OVER visits AS previous_q95,
        lag(rau.n_scored) OVER visits AS previous_n_scored
    FROM analyst.rau_by_visit AS rau
    WHERE rau.n_scored IS NOT NULL
    WINDOW visits AS (PARTITION BY rau.patient_id ORDER BY rau.visit_date)
)

SELECT
    scored.patient_id,
    scored.previous_visit,
    scored.visit_date,
    round((scored.rau_expected - scored.previous_rau)::numeric, 1) AS rau_change,
    round(
        ((scored.rau_expected - scored.previous_rau) * 365.25 / (scored.visit_date - scored.previous_visit))::numeric, 1
    ) AS change_per_year,
    abs(scored.rau_expected - scored.previous_rau) > 6.3 AS beyond_human_error,
    scored.rau_q05 > scored.previous_q95 OR scored.rau_q95 < scored.previous_q05 AS intervals_apart,
    scored.n_scored,
    scored.trained_on_synthetic
FROM scored
WHERE scored.previous_n_scored = scored.n_scored
ORDER BY rau_change DESC, scored.patient_id ASC, scored.visit_date ASC;
