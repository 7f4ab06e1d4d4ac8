-- Title: Disease activity by visit
-- Description: Each visit's DAS28 in its four forms, kept apart because they are not interchangeable. One is computed
-- where its components are complete, as its form is then certain, else it is what the registry reports (four-variable
-- ESR and three-variable CRP only); the column beside it says which. Classes: remission < 2.6 <= low <= 3.2 < moderate
-- <= 5.1 < high.
-- Formulae and classes: https://www.das-score.nl; Fransen J, van Riel PL. Clin Exp Rheumatol 2005;23(S39):S93-S99.

CREATE VIEW analyst.disease_activity_by_visit AS
WITH chosen AS (
    SELECT
        disease_activity.patient_id,
        disease_activity.visit_date,
        disease_activity.physician_global,
        disease_activity.patient_global,
        disease_activity.swollen_28,
        disease_activity.tender_28,
        disease_activity.esr,
        disease_activity.crp,
        disease_activity.das28_esr3,
        disease_activity.das28_crp4,
        disease_activity.batch_date,
        coalesce(disease_activity.das28_esr4, disease_activity.das28_esr_reported) AS das28_esr4,
        coalesce(disease_activity.das28_crp3, disease_activity.das28_crp3_reported) AS das28_crp3,
        CASE
            WHEN disease_activity.das28_esr4 IS NOT NULL THEN 'computed'
            WHEN disease_activity.das28_esr_reported IS NOT NULL THEN 'reported'
        END AS das28_esr4_origin,
        CASE
            WHEN disease_activity.das28_crp3 IS NOT NULL THEN 'computed'
            WHEN disease_activity.das28_crp3_reported IS NOT NULL THEN 'reported'
        END AS das28_crp3_origin
    FROM registry.disease_activity
)

SELECT
    chosen.patient_id,
    chosen.visit_date,
    chosen.das28_esr4,
    chosen.das28_esr4_origin,
    chosen.das28_esr3,
    chosen.das28_crp4,
    chosen.das28_crp3,
    chosen.das28_crp3_origin,
    CASE
        WHEN chosen.das28_esr4 < 2.6 THEN 'remission'
        WHEN chosen.das28_esr4 <= 3.2 THEN 'low'
        WHEN chosen.das28_esr4 <= 5.1 THEN 'moderate'
        WHEN chosen.das28_esr4 > 5.1 THEN 'high'
    END AS activity_class_esr4,
    CASE
        WHEN chosen.das28_crp3 < 2.6 THEN 'remission'
        WHEN chosen.das28_crp3 <= 3.2 THEN 'low'
        WHEN chosen.das28_crp3 <= 5.1 THEN 'moderate'
        WHEN chosen.das28_crp3 > 5.1 THEN 'high'
    END AS activity_class_crp3,
    chosen.physician_global,
    chosen.patient_global,
    chosen.swollen_28,
    chosen.tender_28,
    chosen.esr,
    chosen.crp,
    chosen.batch_date
FROM chosen;

COMMENT ON VIEW analyst.disease_activity_by_visit IS 'Disease activity of each visit: the four forms of DAS28, their classes, global assessments and components.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.das28_esr4 IS 'DAS28-ESR, four variables, 0-10: computed, else reported (das28bsr_score).';
COMMENT ON COLUMN analyst.disease_activity_by_visit.das28_esr4_origin IS 'computed or reported; null if there is neither.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.das28_esr3 IS 'DAS28-ESR, three variables, 0-10, computed.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.das28_crp4 IS 'DAS28-CRP, four variables, 0-10, computed.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.das28_crp3 IS 'DAS28-CRP, three variables, 0-10: computed, else reported (das283crp_score).';
COMMENT ON COLUMN analyst.disease_activity_by_visit.das28_crp3_origin IS 'computed or reported; null if there is neither.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.activity_class_esr4 IS 'Class of das28_esr4: remission, low, moderate, high.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.activity_class_crp3 IS 'Class of das28_crp3 by the same bounds, which were made for DAS28-ESR.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.physician_global IS 'The physician''s global assessment, 0-100 mm.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.patient_global IS 'The patient''s global assessment, 0-100 mm.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.swollen_28 IS 'Number of swollen joints out of 28.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.tender_28 IS 'Number of tender joints out of 28.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.esr IS 'Erythrocyte sedimentation rate, mm in the first hour.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.crp IS 'C-reactive protein, mg/L.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.batch_date IS 'Newest landing folder that delivered these values.';
