-- Title: Plausibility of reported scores
-- Description: Reported scores compared with their components: four-variable DAS28-ESR and three-variable DAS28-CRP
-- with the components of the same row, the Rau score with the current joint readings of the same consultation (sum of
-- grades * 38 / n_joints). Scores agree if they differ by at most 0.1 (DAS28) or 0.5 points (Rau), as in validation.
-- Otherwise likely_cause names the mistake that reproduces the reported score best, to within 0.05 (DAS28) or 0.5
-- points (Rau). It is a hypothesis, not a finding.
--   DAS28: wrong number of variables, CRP for ESR or vice versa (form or value), CRP in mg/dL (a tenth of mg/L) in the
--   delivered component or in the computation of the score.
--   Rau: sum not scaled by 38 / n, or scaled to 32 joints; all joints of the visit; joints that were not delivered.
-- Formulas: https://www.das-score.nl; for the Rau score, migrations/baseline/050_scoring.sql.

CREATE VIEW analyst.score_check AS
WITH visit AS NOT MATERIALIZED (
    SELECT
        disease_activity.*,
        0.56 * sqrt(disease_activity.tender_28) + 0.28 * sqrt(disease_activity.swollen_28) AS joints
    FROM registry.disease_activity
),

das28 AS (
    SELECT
        'das28_esr4' AS score, visit.patient_id, visit.visit_date, NULL AS id_x, NULL::bigint AS n_joints,
        visit.das28_esr_reported AS reported, visit.das28_esr4 AS recomputed,
        explanation.likely_cause, explanation.score AS explained_score
    FROM visit
    LEFT JOIN LATERAL (
        SELECT mistake.likely_cause, mistake.score
        FROM (
            VALUES
            ('three variables instead of four', visit.das28_esr3),
            ('four-variable DAS28-CRP instead of DAS28-ESR', visit.das28_crp4),
            ('three-variable DAS28-CRP instead of DAS28-ESR', visit.das28_crp3),
            ('CRP value used as ESR', visit.joints + 0.70 * ln(greatest(visit.crp, 1)) + 0.014 * visit.patient_global)
        ) AS mistake (likely_cause, score)
        WHERE abs(visit.das28_esr_reported - mistake.score) <= 0.05
        ORDER BY abs(visit.das28_esr_reported - mistake.score)
        LIMIT 1
    ) AS explanation ON TRUE
    WHERE visit.das28_esr_reported IS NOT NULL AND visit.das28_esr4 IS NOT NULL
    UNION ALL
    SELECT
        'das28_crp3' AS score, visit.patient_id, visit.visit_date, NULL AS id_x, NULL AS n_joints,
        visit.das28_crp3_reported AS reported, visit.das28_crp3 AS recomputed,
        explanation.likely_cause, explanation.score AS explained_score
    FROM visit
    LEFT JOIN LATERAL (
        SELECT mistake.likely_cause, mistake.score
        FROM (
            VALUES
            ('CRP delivered in mg/dL', (visit.joints + 0.36 * ln(visit.crp * 10 + 1)) * 1.10 + 1.15),
            ('score computed from CRP in mg/dL', (visit.joints + 0.36 * ln(visit.crp / 10 + 1)) * 1.10 + 1.15),
            ('four variables instead of three', visit.das28_crp4),
            ('three-variable DAS28-ESR instead of DAS28-CRP', visit.das28_esr3),
            ('four-variable DAS28-ESR instead of DAS28-CRP', visit.das28_esr4),
            ('ESR value used as CRP', (visit.joints + 0.36 * ln(visit.esr + 1)) * 1.10 + 1.15)
        ) AS mistake (likely_cause, score)
        WHERE abs(visit.das28_crp3_reported - mistake.score) <= 0.05
        ORDER BY abs(visit.das28_crp3_reported - mistake.score)
        LIMIT 1
    ) AS explanation ON TRUE
    WHERE visit.das28_crp3_reported IS NOT NULL AND visit.das28_crp3 IS NOT NULL
),

-- Latest reading of each joint of a visit.
joint_of_visit AS NOT MATERIALIZED (
    SELECT DISTINCT ON (consultation.patient_id, consultation.visit_date, joint_reading.joint)
        consultation.patient_id, consultation.visit_date, joint_reading.reading_grade
    FROM registry.consultation
    INNER JOIN registry.joint_reading ON consultation.id_x = joint_reading.id_x
    WHERE joint_reading.withdrawn_on IS NULL
    ORDER BY
        consultation.patient_id ASC, consultation.visit_date ASC, joint_reading.joint ASC,
        joint_reading.read_on DESC NULLS LAST, joint_reading.id_x DESC
),

rau AS (
    SELECT
        'rau' AS score, consultation.patient_id, consultation.visit_date, consultation.id_x,
        reading.n_joints,
        consultation.reported_rau AS reported,
        reading.grades * 38.0::double precision / reading.n_joints AS recomputed,
        coalesce(
            explanation.likely_cause,
            -- Possible if the joints that were not delivered have grades from 0 to 5.
            CASE
                WHEN
                    consultation.reported_rau
                    BETWEEN reading.grades - 0.5 AND reading.grades + 5 * (38 - reading.n_joints) + 0.5
                    THEN 'joints that were not delivered'
            END
        ) AS likely_cause,
        explanation.score AS explained_score
    FROM registry.consultation
    INNER JOIN LATERAL (
        SELECT count(*) AS n_joints, sum(joint_reading.reading_grade) AS grades
        FROM registry.joint_reading
        WHERE joint_reading.id_x = consultation.id_x AND joint_reading.withdrawn_on IS NULL
    ) AS reading ON reading.n_joints > 0
    -- Evaluated per score, so that a query for one year skips the rest.
    INNER JOIN LATERAL (
        SELECT count(*) AS n_joints, sum(joint_of_visit.reading_grade) AS grades
        FROM joint_of_visit
        WHERE
            joint_of_visit.patient_id = consultation.patient_id
            AND joint_of_visit.visit_date = consultation.visit_date
    ) AS reading_of_visit ON TRUE
    LEFT JOIN LATERAL (
        SELECT mistake.likely_cause, mistake.score
        FROM (
            VALUES
            (1, 'sum not scaled by 38 / n', reading.grades::double precision),
            (
                2, 'all joints of the visit',
                reading_of_visit.grades * 38.0::double precision / reading_of_visit.n_joints
            ),
            (
                3, 'sum of all joints of the visit, not scaled by 38 / n',
                reading_of_visit.grades::double precision
            ),
            (4, 'scaled to 32 joints instead of 38', reading.grades * 32.0::double precision / reading.n_joints)
        ) AS mistake (priority, likely_cause, score)
        WHERE abs(consultation.reported_rau - mistake.score) <= 0.5
        ORDER BY abs(consultation.reported_rau - mistake.score), mistake.priority
        LIMIT 1
    ) AS explanation ON TRUE
    WHERE consultation.reported_rau IS NOT NULL
),

compared AS (
    SELECT
        das28.*,
        abs(das28.reported - das28.recomputed) <= 0.1 AS agrees,
        abs(das28.reported - das28.recomputed) <= 0.005 AS exactly
    FROM das28
    UNION ALL
    SELECT
        rau.*,
        abs(rau.reported - rau.recomputed) <= 0.5 AS agrees,
        abs(rau.reported - rau.recomputed) <= 0.005 AS exactly
    FROM rau
)

SELECT
    compared.score, compared.patient_id, compared.visit_date, compared.id_x,
    compared.reported, compared.recomputed, compared.reported - compared.recomputed AS difference,
    compared.n_joints, compared.agrees,
    CASE
        WHEN compared.exactly THEN NULL
        WHEN compared.agrees THEN 'rounding'
        ELSE coalesce(compared.likely_cause, 'unknown')
    END AS likely_cause,
    CASE WHEN NOT compared.agrees THEN compared.explained_score END AS explained_score
FROM compared;

COMMENT ON VIEW analyst.score_check IS 'Reported DAS28 and Rau scores with the values recomputed from their components or joint readings, and the likely cause of a difference.';
COMMENT ON COLUMN analyst.score_check.score IS 'das28_esr4 (das28bsr_score), das28_crp3 (das283crp_score) or rau (rau_score).';
COMMENT ON COLUMN analyst.score_check.id_x IS 'Consultation of a Rau score; null for DAS28.';
COMMENT ON COLUMN analyst.score_check.reported IS 'Score reported by the registry, points.';
COMMENT ON COLUMN analyst.score_check.recomputed IS 'Score recomputed from its components (DAS28) or from the current readings of the consultation (Rau), points.';
COMMENT ON COLUMN analyst.score_check.difference IS 'Reported minus recomputed, points.';
COMMENT ON COLUMN analyst.score_check.n_joints IS 'Number of current readings of the consultation, for a Rau score.';
COMMENT ON COLUMN analyst.score_check.agrees IS 'True if the scores differ by at most 0.1 points (DAS28) or 0.5 points (Rau).';
COMMENT ON COLUMN analyst.score_check.likely_cause IS 'null if the scores are equal to two decimals; rounding if they agree; otherwise the mistake that reproduces the reported score best, or unknown.';
COMMENT ON COLUMN analyst.score_check.explained_score IS 'Score that this mistake would produce, points; null if the scores agree or no formula reproduces the reported score.';
