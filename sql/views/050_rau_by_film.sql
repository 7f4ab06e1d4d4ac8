-- Title: Rau score by radiograph
-- Description: The champion's Rau score from the joints of one radiograph, beside the score that the registry reports for it.
-- Rau = sum of grades * 38 / n_scored (0-190); below 32 joints it is an extrapolation.

CREATE VIEW analyst.rau_by_radiograph AS
SELECT
    radiograph.patient_id,
    radiograph.visit_date,
    radiograph.sop_iuid,
    radiograph.body_part,
    rau_prediction.rau_expected,
    rau_prediction.rau_median,
    rau_prediction.rau_q05,
    rau_prediction.rau_q95,
    rau_prediction.rau_from_grades,
    rau_prediction.n_scored,
    rau_prediction.extrapolated,
    latest_reported.reported_rau,
    rau_prediction.model_version,
    champion.trained_on_synthetic,
    rau_prediction.batch_date,
    rau_prediction.scored_at
FROM scoring.rau_prediction
INNER JOIN analyst.champion
    ON rau_prediction.model_version = champion.model_version
    AND rau_prediction.preprocessing_version = champion.preprocessing_version
INNER JOIN registry.radiograph ON rau_prediction.sop_iuid = radiograph.sop_iuid
LEFT JOIN LATERAL (
    SELECT consultation.reported_rau
    FROM registry.consultation
    WHERE
        consultation.sop_iuid = radiograph.sop_iuid
        AND consultation.reported_rau IS NOT NULL
    ORDER BY consultation.read_on DESC NULLS LAST, consultation.id_x DESC
    LIMIT 1
) AS latest_reported ON TRUE
WHERE
    rau_prediction.scope = 'radiograph'
    -- The registry may move a radiograph to another visit or patient; what was predicted for the old one is not shown.
    AND rau_prediction.stands;

COMMENT ON VIEW analyst.rau_by_radiograph IS 'Rau score predicted for each radiograph, with interval and number of joints, beside the reported one.';
COMMENT ON COLUMN analyst.rau_by_radiograph.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.rau_by_radiograph.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.rau_by_radiograph.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN analyst.rau_by_radiograph.body_part IS 'What the radiograph shows, in the registry''s words.';
COMMENT ON COLUMN analyst.rau_by_radiograph.rau_expected IS 'Expected Rau score, 0-190 points.';
COMMENT ON COLUMN analyst.rau_by_radiograph.rau_median IS 'Median of its distribution, points.';
COMMENT ON COLUMN analyst.rau_by_radiograph.rau_q05 IS 'Lower end of the 90 % interval, points.';
COMMENT ON COLUMN analyst.rau_by_radiograph.rau_q95 IS 'Upper end of the 90 % interval, points.';
COMMENT ON COLUMN analyst.rau_by_radiograph.rau_from_grades IS 'Rau score of the predicted grades, points.';
COMMENT ON COLUMN analyst.rau_by_radiograph.n_scored IS 'Number of joints that were scored.';
COMMENT ON COLUMN analyst.rau_by_radiograph.extrapolated IS 'True if fewer than 32 joints were scored.';
COMMENT ON COLUMN analyst.rau_by_radiograph.reported_rau IS 'Rau score of the radiograph''s latest consultation that reports one, points; it may cover more joints than the radiograph shows.';
COMMENT ON COLUMN analyst.rau_by_radiograph.model_version IS 'The champion.';
COMMENT ON COLUMN analyst.rau_by_radiograph.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
COMMENT ON COLUMN analyst.rau_by_radiograph.batch_date IS 'Night in which the prediction last changed; a rescored history keeps its nights.';
COMMENT ON COLUMN analyst.rau_by_radiograph.scored_at IS 'When it was changed.';
