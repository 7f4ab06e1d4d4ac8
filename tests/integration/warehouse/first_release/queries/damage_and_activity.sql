-- Title: Damage and disease activity of each visit
-- Description: The rows behind the correlation with DAS28-ESR (four variables): one row a visit, joined on patient and
-- date of visit. Films and blood tests of different days do not meet here.

SELECT
    rau.patient_id,
    rau.visit_date,
    rau.reported_rau,
    rau.rau_expected,
    rau.n_scored,
    activity.das28_esr4,
    activity.das28_esr4_origin,
    activity.activity_esr4,
    rau.trained_on_synthetic
FROM analyst.rau_by_visit AS rau
INNER JOIN analyst.disease_activity_by_visit AS activity
    ON rau.patient_id = activity.patient_id
    AND rau.visit_date = activity.visit_date
WHERE activity.das28_esr4 IS NOT NULL
ORDER BY rau.patient_id, rau.visit_date;
