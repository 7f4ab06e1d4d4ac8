-- Title: Damage of each visit with the disease activity nearest to it
-- Description: One row a visit with a Rau score, with the activity visit that lies nearest, here at most 30 days away
-- (the view has 90), where that one has a DAS28-ESR (four variables). The figures of analyst.correlation are of the
-- same day, those of analyst.association take the nearest visit that has the form asked for. Do not join rau_by_visit
-- with disease_activity_by_visit by patient alone: each radiograph would meet every visit of the patient. Shown is the year
-- before the last night; leave that condition out for the whole history.

SELECT
    visit.patient_id,
    visit.visit_date,
    visit.reported_rau,
    round(visit.rau_expected::numeric, 1) AS rau,
    visit.n_scored,
    visit.lag_days,
    round(visit.das28_esr4::numeric, 2) AS das28_esr4,
    visit.das28_esr4_origin,
    visit.trained_on_synthetic
FROM analyst.damage_and_activity AS visit
WHERE
    visit.das28_esr4 IS NOT NULL
    AND abs(visit.lag_days) <= 30
    AND visit.visit_date > (
        SELECT max(night.batch_date) - 365 FROM analyst.run_reconciliation
        WHERE night.job = 'nightly_scoring'
    )
ORDER BY visit.patient_id, visit.visit_date;
