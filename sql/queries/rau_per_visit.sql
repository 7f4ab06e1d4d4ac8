-- Title: Rau score of each visit
-- Description: Always report a score with its interval and n_scored: ten joints of one hand are extrapolated to 38. The
-- query shows the year before the last batch; select another period or a patient, or remove the condition for the whole
-- history.

SELECT
    rau.patient_id, rau.visit_date,
    round(rau.rau_expected::numeric, 1) AS rau,
    round(rau.rau_q05::numeric, 1) AS from_5_percent, round(rau.rau_q95::numeric, 1) AS to_95_percent,
    rau.n_scored, rau.extrapolated,
    rau.reported_rau, rau.reported_rau BETWEEN rau.rau_q05 AND rau.rau_q95 AS reported_within_interval,
    rau.trained_on_synthetic
FROM analyst.rau_by_visit AS rau
WHERE
    rau.visit_date > (
        SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
ORDER BY rau.patient_id, rau.visit_date;
