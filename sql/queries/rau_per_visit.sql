-- Title: Rau score of each visit, with its interval and the number of joints behind it
-- Description: A score without its interval and n_scored says too little: 10 joints of one hand are extrapolated to 38.
-- The last column compares with the reader: does the reported score lie within the 90 % interval? Shown is the year
-- before the last night; name another stretch, a patient, or leave the condition out for the whole history.

SELECT
    rau.patient_id,
    rau.visit_date,
    round(rau.rau_expected::numeric, 1) AS rau,
    round(rau.rau_q05::numeric, 1) AS from_5_percent,
    round(rau.rau_q95::numeric, 1) AS to_95_percent,
    rau.n_scored,
    rau.extrapolated,
    rau.reported_rau,
    rau.reported_rau BETWEEN rau.rau_q05 AND rau.rau_q95 AS reported_within_interval,
    rau.trained_on_synthetic
FROM analyst.rau_by_visit AS rau
WHERE
    rau.visit_date > (
        SELECT max(night.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE night.job = 'nightly_scoring'
    )
ORDER BY rau.patient_id, rau.visit_date;
