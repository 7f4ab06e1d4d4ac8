-- Title: Current predictions of joints
-- Description: Predictions of the champion for all joint images, with interval and grade probabilities.
-- Ratingen grade: Rau R et al. J Rheumatol 1998;25:2094-2107.

CREATE VIEW analyst.current_joint_prediction AS
SELECT
    radiograph.patient_id, radiograph.visit_date,
    prediction.sop_iuid, radiograph.body_part, prediction.joint,
    prediction.predicted_percent, prediction.predicted_median,
    prediction.predicted_q05, prediction.predicted_q95,
    prediction.predicted_grade, prediction.grade_probability,
    prediction.image_sha256, joint_image.uri AS image_uri,
    prediction.model_version, champion.trained_on_synthetic, prediction.batch_date, prediction.scored_at
FROM scoring.joint_prediction AS prediction
INNER JOIN analyst.champion
    ON prediction.model_version = champion.model_version
    AND prediction.preprocessing_version = champion.preprocessing_version
INNER JOIN imaging.joint_image ON prediction.image_sha256 = joint_image.image_sha256
INNER JOIN registry.radiograph ON prediction.sop_iuid = radiograph.sop_iuid;

COMMENT ON VIEW analyst.current_joint_prediction IS 'Predictions of the champion: one row per radiograph and joint.';
COMMENT ON COLUMN analyst.current_joint_prediction.predicted_median IS 'Median of the predicted distribution, percent.';
COMMENT ON COLUMN analyst.current_joint_prediction.grade_probability IS 'Probability, 0 to 1, of grades 0 to 5, in this order; element 1 is grade 0.';
COMMENT ON COLUMN analyst.current_joint_prediction.batch_date IS 'Batch in which the image was first scored; a rescoring keeps the original batches.';
