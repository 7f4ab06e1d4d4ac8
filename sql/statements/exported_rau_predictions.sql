-- Title: Rau scores for export
-- Description: Rau scores by the champion with the radiographs of each visit: one row per visit.

WITH scored AS (
    SELECT patient_id, visit_date, array_agg(sop_iuid ORDER BY sop_iuid) AS sop_iuids
    FROM analyst.rau_by_radiograph
    GROUP BY patient_id, visit_date
)

SELECT
    rau.patient_id, rau.visit_date,
    rau.rau_expected, rau.rau_q05, rau.rau_q95, rau.n_scored, rau.extrapolated,
    rau.model_version, rau.trained_on_synthetic, rau.scored_at, scored.sop_iuids
FROM analyst.rau_by_visit AS rau
INNER JOIN scored ON rau.patient_id = scored.patient_id AND rau.visit_date = scored.visit_date
WHERE rau.rau_expected IS NOT NULL
