-- Title: Rau score per radiograph
-- Description: Rau score predicted by the champion from the joints of one radiograph, and the score that the registry
-- reports for it. Rau = sum of grades * 38 / n_scored (0-190); with fewer than 32 joints it is an extrapolation.

CREATE VIEW analyst.rau_by_radiograph AS
SELECT
    radiograph.patient_id, radiograph.visit_date, radiograph.sop_iuid, radiograph.body_part,
    score.rau_expected, score.rau_median, score.rau_q05, score.rau_q95,
    score.rau_from_grades, score.n_scored, score.extrapolated,
    latest_reported.reported_rau,
    score.model_version, champion.trained_on_synthetic, score.batch_date, score.scored_at
FROM scoring.rau_prediction AS score
INNER JOIN analyst.champion
    ON score.model_version = champion.model_version
    AND score.preprocessing_version = champion.preprocessing_version
INNER JOIN registry.radiograph ON score.sop_iuid = radiograph.sop_iuid
LEFT JOIN LATERAL (
    SELECT consultation.reported_rau
    FROM registry.consultation
    WHERE consultation.sop_iuid = radiograph.sop_iuid AND consultation.reported_rau IS NOT NULL
    ORDER BY consultation.read_on DESC NULLS LAST, consultation.id_x DESC
    LIMIT 1
) AS latest_reported ON TRUE
-- A score is not current if the radiograph has moved to another visit.
WHERE score.scope = 'radiograph' AND score.is_current;

COMMENT ON VIEW analyst.rau_by_radiograph IS 'Predicted Rau score with interval, number of joints and reported score: one row per radiograph.';
COMMENT ON COLUMN analyst.rau_by_radiograph.reported_rau IS 'Rau score of the latest consultation that reports one for the radiograph, points; it may cover joints of other radiographs.';
COMMENT ON COLUMN analyst.rau_by_radiograph.batch_date IS 'Batch in which the prediction last changed; a rescoring keeps the original batches.';
