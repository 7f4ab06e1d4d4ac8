-- Title: Disease activity per visit
-- Description: DAS28 in its four forms, which are not interchangeable. A DAS28 is computed if its components are
-- complete, because its form is then certain. Otherwise the reported score is shown (four-variable ESR and
-- three-variable CRP only); the origin columns say which. Classes: remission < 2.6 <= low <= 3.2 < moderate <= 5.1 <
-- high. Formulas and classes: https://www.das-score.nl; Fransen J, van Riel PL. Clin Exp Rheumatol
-- 2005;23(S39):S93-S99.

CREATE VIEW analyst.disease_activity_by_visit AS
WITH chosen AS (
    SELECT
        visit.*,
        coalesce(visit.das28_esr4, visit.das28_esr_reported) AS esr4,
        coalesce(visit.das28_crp3, visit.das28_crp3_reported) AS crp3
    FROM registry.disease_activity AS visit
)

SELECT
    chosen.patient_id, chosen.visit_date,
    chosen.esr4 AS das28_esr4,
    CASE
        WHEN chosen.das28_esr4 IS NOT NULL THEN 'computed'
        WHEN chosen.das28_esr_reported IS NOT NULL THEN 'reported'
    END AS das28_esr4_origin,
    chosen.das28_esr3, chosen.das28_crp4,
    chosen.crp3 AS das28_crp3,
    CASE
        WHEN chosen.das28_crp3 IS NOT NULL THEN 'computed'
        WHEN chosen.das28_crp3_reported IS NOT NULL THEN 'reported'
    END AS das28_crp3_origin,
    CASE
        WHEN chosen.esr4 < 2.6 THEN 'remission'
        WHEN chosen.esr4 <= 3.2 THEN 'low'
        WHEN chosen.esr4 <= 5.1 THEN 'moderate'
        WHEN chosen.esr4 > 5.1 THEN 'high'
    END AS activity_class_esr4,
    CASE
        WHEN chosen.crp3 < 2.6 THEN 'remission'
        WHEN chosen.crp3 <= 3.2 THEN 'low'
        WHEN chosen.crp3 <= 5.1 THEN 'moderate'
        WHEN chosen.crp3 > 5.1 THEN 'high'
    END AS activity_class_crp3,
    chosen.physician_global, chosen.patient_global,
    chosen.swollen_28, chosen.tender_28, chosen.esr, chosen.crp,
    chosen.batch_date
FROM chosen;

COMMENT ON VIEW analyst.disease_activity_by_visit IS 'Four forms of DAS28 with classes, global assessments and components: one row per visit.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.activity_class_esr4 IS 'Class of das28_esr4: remission, low, moderate or high.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.activity_class_crp3 IS 'Class of das28_crp3 by the same limits, which were derived for DAS28-ESR.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.swollen_28 IS 'Number of swollen joints out of 28.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.tender_28 IS 'Number of tender joints out of 28.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.esr IS 'Erythrocyte sedimentation rate, mm/h.';
COMMENT ON COLUMN analyst.disease_activity_by_visit.crp IS 'C-reactive protein, mg/L.';
