-- Title: Joint damage of a visit with the disease activity nearest to it
-- Description: One row for each visit that has a reported or predicted Rau score, with the one activity visit that lies
-- nearest, at most 90 days before or after (window_days; of two equally near ones the earlier). Radiographs and blood are
-- seldom of the same day, and a join by patient alone, or by a window alone, would multiply the rows. Visits without
-- activity in the window stay, with nulls. An activity visit counts if it has a DAS28 in any form; one activity visit
-- may be the nearest of two radiographs.
-- The true relation is weak: r = 0.15 (DAS28-ESR) and 0.08 (DAS28-CRP) are published for this kind of registry.

CREATE VIEW analyst.damage_and_activity AS
WITH stated AS (
    SELECT 90 AS window_days
)

SELECT
    damage.patient_id,
    damage.visit_date,
    damage.n_radiographs,
    damage.reported_rau,
    damage.rau_expected,
    damage.rau_q05,
    damage.rau_q95,
    damage.n_scored,
    damage.extrapolated,
    nearest.activity_date,
    nearest.lag_days,
    nearest.das28_esr4,
    nearest.das28_esr4_origin,
    nearest.das28_esr3,
    nearest.das28_crp4,
    nearest.das28_crp3,
    nearest.das28_crp3_origin,
    nearest.physician_global,
    nearest.patient_global,
    stated.window_days,
    damage.model_version,
    damage.trained_on_synthetic
FROM analyst.rau_by_visit AS damage
CROSS JOIN stated
LEFT JOIN LATERAL (
    SELECT
        activity.visit_date AS activity_date,
        activity.visit_date - damage.visit_date AS lag_days,
        activity.das28_esr4,
        activity.das28_esr4_origin,
        activity.das28_esr3,
        activity.das28_crp4,
        activity.das28_crp3,
        activity.das28_crp3_origin,
        activity.physician_global,
        activity.patient_global
    FROM analyst.disease_activity_by_visit AS activity
    WHERE
        activity.patient_id = damage.patient_id
        AND activity.visit_date BETWEEN damage.visit_date - stated.window_days
        AND damage.visit_date + stated.window_days
        AND coalesce(activity.das28_esr4, activity.das28_esr3, activity.das28_crp4, activity.das28_crp3) IS NOT NULL
    ORDER BY abs(activity.visit_date - damage.visit_date), activity.visit_date
    LIMIT 1
) AS nearest ON TRUE
WHERE
    damage.reported_rau IS NOT NULL
    OR damage.rau_expected IS NOT NULL;

COMMENT ON VIEW analyst.damage_and_activity IS 'Rau score of each visit, reported and predicted, with the disease activity nearest to it in time; one row a visit.';
COMMENT ON COLUMN analyst.damage_and_activity.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.damage_and_activity.visit_date IS 'Date of the visit at which the radiographs were taken.';
COMMENT ON COLUMN analyst.damage_and_activity.n_radiographs IS 'Number of radiographs of the visit; 0 if a score was reported without naming one.';
COMMENT ON COLUMN analyst.damage_and_activity.reported_rau IS 'Rau score by the visit''s latest consultation that reports one, 0-190 points.';
COMMENT ON COLUMN analyst.damage_and_activity.rau_expected IS 'Rau score expected by the champion, 0-190 points; null, never 0, if no joint was scored.';
COMMENT ON COLUMN analyst.damage_and_activity.rau_q05 IS 'Lower end of its 90 % interval, points.';
COMMENT ON COLUMN analyst.damage_and_activity.rau_q95 IS 'Upper end of its 90 % interval, points.';
COMMENT ON COLUMN analyst.damage_and_activity.n_scored IS 'Number of joints that were scored.';
COMMENT ON COLUMN analyst.damage_and_activity.extrapolated IS 'True if fewer than 32 joints were scored.';
COMMENT ON COLUMN analyst.damage_and_activity.activity_date IS 'Date of the nearest activity visit that has a DAS28; null if there is none within the window.';
COMMENT ON COLUMN analyst.damage_and_activity.lag_days IS 'Time from the radiograph to the activity visit, in days; above 0 the activity was measured after the radiograph.';
COMMENT ON COLUMN analyst.damage_and_activity.das28_esr4 IS 'DAS28-ESR, four variables, 0-10: computed, else reported (das28bsr_score).';
COMMENT ON COLUMN analyst.damage_and_activity.das28_esr4_origin IS 'computed or reported; null if there is neither.';
COMMENT ON COLUMN analyst.damage_and_activity.das28_esr3 IS 'DAS28-ESR, three variables, 0-10, computed.';
COMMENT ON COLUMN analyst.damage_and_activity.das28_crp4 IS 'DAS28-CRP, four variables, 0-10, computed.';
COMMENT ON COLUMN analyst.damage_and_activity.das28_crp3 IS 'DAS28-CRP, three variables, 0-10: computed, else reported (das283crp_score).';
COMMENT ON COLUMN analyst.damage_and_activity.das28_crp3_origin IS 'computed or reported; null if there is neither.';
COMMENT ON COLUMN analyst.damage_and_activity.physician_global IS 'The physician''s global assessment at the activity visit, 0-100 mm.';
COMMENT ON COLUMN analyst.damage_and_activity.patient_global IS 'The patient''s global assessment at the activity visit, 0-100 mm.';
COMMENT ON COLUMN analyst.damage_and_activity.window_days IS 'How far the activity visit may lie from the radiograph, in days before or after.';
COMMENT ON COLUMN analyst.damage_and_activity.model_version IS 'The champion; null where nothing is predicted.';
COMMENT ON COLUMN analyst.damage_and_activity.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
