-- Title: Damage and the nearest disease activity
-- Description: Visits with a reported or predicted Rau score, each with the nearest visit that has a DAS28 in any form,
-- at most 90 days before or after (window_days). Of two equally near visits the earlier one is used; one activity visit
-- may be the nearest to two radiographs. Radiographs and blood samples are rarely from the same day, and a join
-- by patient or window alone would multiply the rows. Visits without activity in the window are kept, with nulls. The
-- true correlation is weak: 0.15 (DAS28-ESR) and 0.08 (DAS28-CRP) are published for this kind of registry.

CREATE VIEW analyst.damage_and_activity AS
WITH setting AS (SELECT 90 AS window_days)

SELECT
    damage.patient_id, damage.visit_date, damage.n_radiographs,
    damage.reported_rau, damage.rau_expected, damage.rau_q05, damage.rau_q95,
    damage.n_scored, damage.extrapolated,
    nearest.activity_date, nearest.lag_days,
    nearest.das28_esr4, nearest.das28_esr4_origin, nearest.das28_esr3, nearest.das28_crp4,
    nearest.das28_crp3, nearest.das28_crp3_origin,
    nearest.physician_global, nearest.patient_global,
    setting.window_days,
    damage.model_version, damage.trained_on_synthetic
FROM analyst.rau_by_visit AS damage
CROSS JOIN setting
LEFT JOIN LATERAL (
    SELECT
        activity.*,
        activity.visit_date AS activity_date,
        activity.visit_date - damage.visit_date AS lag_days
    FROM analyst.disease_activity_by_visit AS activity
    WHERE
        activity.patient_id = damage.patient_id
        AND activity.visit_date BETWEEN damage.visit_date - setting.window_days
        AND damage.visit_date + setting.window_days
        AND coalesce(activity.das28_esr4, activity.das28_esr3, activity.das28_crp4, activity.das28_crp3) IS NOT NULL
    ORDER BY abs(activity.visit_date - damage.visit_date), activity.visit_date
    LIMIT 1
) AS nearest ON TRUE
WHERE damage.reported_rau IS NOT NULL OR damage.rau_expected IS NOT NULL;

COMMENT ON VIEW analyst.damage_and_activity IS 'Reported and predicted Rau score with the nearest disease activity: one row per visit.';
COMMENT ON COLUMN analyst.damage_and_activity.visit_date IS 'Date of the visit at which the radiographs were taken.';
COMMENT ON COLUMN analyst.damage_and_activity.activity_date IS 'Date of the nearest visit with a DAS28; null if there is none in the window.';
COMMENT ON COLUMN analyst.damage_and_activity.lag_days IS 'Time from the radiograph to the activity visit, in days; positive if the activity was measured later.';
COMMENT ON COLUMN analyst.damage_and_activity.window_days IS 'Maximum time between radiograph and activity visit, in days before or after.';
