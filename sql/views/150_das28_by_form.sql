-- Title: DAS28 in long form
-- Description: One row for each visit and form of DAS28 that is known, so that a series is made by filtering one form
-- and no two of them can be mixed by accident: on the same visit DAS28-CRP is usually lower than DAS28-ESR. Classes:
-- remission < 2.6 <= low <= 3.2 < moderate <= 5.1 < high; the bounds were made for DAS28-ESR.
-- Formulae and classes: https://www.das-score.nl; Fransen J, van Riel PL. Clin Exp Rheumatol 2005;23(S39):S93-S99.

CREATE VIEW analyst.das28_by_form AS
SELECT
    visit.patient_id,
    visit.visit_date,
    measured.form,
    measured.das28,
    measured.origin,
    CASE
        WHEN measured.das28 < 2.6 THEN 'remission'
        WHEN measured.das28 <= 3.2 THEN 'low'
        WHEN measured.das28 <= 5.1 THEN 'moderate'
        ELSE 'high'
    END AS activity,
    visit.batch_date
FROM analyst.disease_activity_by_visit AS visit
CROSS JOIN
    LATERAL (
        VALUES
        ('das28_esr4', visit.das28_esr4, visit.das28_esr4_origin),
        ('das28_esr3', visit.das28_esr3, 'computed'),
        ('das28_crp4', visit.das28_crp4, 'computed'),
        ('das28_crp3', visit.das28_crp3, visit.das28_crp3_origin)
    ) AS measured (form, das28, origin)
WHERE measured.das28 IS NOT NULL;

COMMENT ON VIEW analyst.das28_by_form IS 'DAS28 of each visit, one row a form that is known. Filter by form: the four are not interchangeable.';
COMMENT ON COLUMN analyst.das28_by_form.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.das28_by_form.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.das28_by_form.form IS 'das28_esr4, das28_esr3 (sedimentation rate; four or three variables), das28_crp4 or das28_crp3 (C-reactive protein).';
COMMENT ON COLUMN analyst.das28_by_form.das28 IS 'DAS28 in that form, 0-10 points.';
COMMENT ON COLUMN analyst.das28_by_form.origin IS 'computed from its components, or reported by the registry.';
COMMENT ON COLUMN analyst.das28_by_form.activity IS 'Class: remission, low, moderate, high.';
COMMENT ON COLUMN analyst.das28_by_form.batch_date IS 'Newest landing folder that delivered the visit''s values.';
