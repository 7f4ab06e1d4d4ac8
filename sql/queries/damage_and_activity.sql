-- Title: Damage with the nearest disease activity
-- Description: Visits with a Rau score and the nearest activity visit, if it is at most 30 days away (the view allows
-- 90) and has a four-variable DAS28-ESR. In comparison, analyst.correlation uses activity of the same day, and
-- analyst.association uses the nearest visit that has the requested form. Do not join rau_by_visit with
-- disease_activity_by_visit by patient alone, because that pairs each visit with every activity visit of the patient.
-- The query shows the year before the last batch; remove that condition for the whole history.

SELECT
    visit.patient_id, visit.visit_date,
    visit.reported_rau, round(visit.rau_expected::numeric, 1) AS rau, visit.n_scored,
    visit.lag_days, round(visit.das28_esr4::numeric, 2) AS das28_esr4, visit.das28_esr4_origin,
    visit.trained_on_synthetic
FROM analyst.damage_and_activity AS visit
WHERE
    visit.das28_esr4 IS NOT NULL
    AND abs(visit.lag_days) <= 30
    AND visit.visit_date > (
        SELECT max(run_reconciliation.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE run_reconciliation.job = 'nightly_scoring'
    )
ORDER BY visit.patient_id, visit.visit_date;
