-- Title: DAS28 in long form
-- Description: One row per visit and form of DAS28 that is known. Filter by activity to get one series; mixing forms is
-- an error, because DAS28-CRP is usually lower than DAS28-ESR at the same visit. Classes: remission < 2.6 <= low <= 3.2
-- < moderate <= 5.1 < high; the limits were derived for DAS28-ESR.
-- Formulas and classes: https://www.das-score.nl; Fransen J, van Riel PL. Clin Exp Rheumatol 2005;23(S39):S93-S99.

CREATE VIEW analyst.das28_by_form AS
SELECT
    visit.patient_id, visit.visit_date,
    measured.activity, measured.das28, measured.origin,
    CASE
        WHEN measured.das28 < 2.6 THEN 'remission'
        WHEN measured.das28 <= 3.2 THEN 'low'
        WHEN measured.das28 <= 5.1 THEN 'moderate'
        ELSE 'high'
    END AS activity_class,
    visit.batch_date
FROM analyst.disease_activity_by_visit AS visit
CROSS JOIN
    LATERAL (
        VALUES
        ('das28_esr4', visit.das28_esr4, visit.das28_esr4_origin),
        ('das28_esr3', visit.das28_esr3, 'computed'),
        ('das28_crp4', visit.das28_crp4, 'computed'),
        ('das28_crp3', visit.das28_crp3, visit.das28_crp3_origin)
    ) AS measured (activity, das28, origin)
WHERE measured.das28 IS NOT NULL;

COMMENT ON VIEW analyst.das28_by_form IS 'DAS28 in long form: one row per visit and known form. Filter by activity, because the forms are not interchangeable.';
COMMENT ON COLUMN analyst.das28_by_form.das28 IS 'DAS28 in that form, 0-10 points.';
COMMENT ON COLUMN analyst.das28_by_form.origin IS 'computed (from its components) or reported (by the registry).';
COMMENT ON COLUMN analyst.das28_by_form.activity_class IS 'remission, low, moderate or high.';
