-- Title: Rau score and DAS28 of the same visit
-- Description: One row per visit, form of DAS28 and series of Rau scores, without identifiers.

SELECT form.activity, form.das28, series.damage, series.rau
FROM analyst.rau_by_visit AS score
INNER JOIN analyst.disease_activity_by_visit AS visit
    ON score.patient_id = visit.patient_id AND score.visit_date = visit.visit_date
CROSS JOIN
    LATERAL (
        VALUES ('reported_rau', score.reported_rau), ('predicted_rau', score.rau_expected)
    ) AS series (damage, rau)
CROSS JOIN
    LATERAL (
        VALUES
        ('das28_esr4', visit.das28_esr4), ('das28_esr3', visit.das28_esr3),
        ('das28_crp4', visit.das28_crp4), ('das28_crp3', visit.das28_crp3)
    ) AS form (activity, das28)
WHERE series.rau IS NOT NULL AND form.das28 IS NOT NULL
