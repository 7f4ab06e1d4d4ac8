-- Title: Current prediction of every joint
-- Description: What the champion says about each joint image, with the interval and the probability of each grade.
-- Ratingen grade: Rau R et al. J Rheumatol 1998;25:2094-2107.

CREATE VIEW analyst.current_joint_prediction AS
SELECT
    radiograph.patient_id,
    radiograph.visit_date,
    joint_prediction.sop_iuid,
    radiograph.body_part,
    joint_prediction.joint,
    joint_prediction.predicted_percent,
    joint_prediction.predicted_median,
    joint_prediction.predicted_q05,
    joint_prediction.predicted_q95,
    joint_prediction.predicted_grade,
    joint_prediction.grade_probability,
    joint_prediction.image_sha256,
    joint_image.uri AS image_uri,
    joint_prediction.model_version,
    champion.trained_on_synthetic,
    joint_prediction.batch_date,
    joint_prediction.scored_at
FROM scoring.joint_prediction
INNER JOIN analyst.champion
    ON joint_prediction.model_version = champion.model_version
    AND joint_prediction.preprocessing_version = champion.preprocessing_version
INNER JOIN imaging.joint_image ON joint_prediction.image_sha256 = joint_image.image_sha256
INNER JOIN registry.radiograph ON joint_prediction.sop_iuid = radiograph.sop_iuid;

COMMENT ON VIEW analyst.current_joint_prediction IS 'The champion''s prediction of every joint image, one row a joint and radiograph.';
COMMENT ON COLUMN analyst.current_joint_prediction.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.current_joint_prediction.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.current_joint_prediction.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN analyst.current_joint_prediction.body_part IS 'What the radiograph shows, in the registry''s words.';
COMMENT ON COLUMN analyst.current_joint_prediction.joint IS 'The joint, by its registry column, such as hand_left_2 (MCP5).';
COMMENT ON COLUMN analyst.current_joint_prediction.predicted_percent IS 'Expected share of the joint surface that is eroded, percent.';
COMMENT ON COLUMN analyst.current_joint_prediction.predicted_median IS 'Median of the predicted distribution, percent.';
COMMENT ON COLUMN analyst.current_joint_prediction.predicted_q05 IS 'Lower end of the calibrated 90 % interval, percent; not always the 5 % quantile.';
COMMENT ON COLUMN analyst.current_joint_prediction.predicted_q95 IS 'Upper end of the calibrated 90 % interval, percent; not always the 95 % quantile.';
COMMENT ON COLUMN analyst.current_joint_prediction.predicted_grade IS 'Predicted Ratingen grade, 0-5, by the model''s own rule (read_out of its manifest); not always the grade of predicted_percent.';
COMMENT ON COLUMN analyst.current_joint_prediction.grade_probability IS 'Probability, 0 to 1, of grades 0 to 5, in this order; [1] is grade 0.';
COMMENT ON COLUMN analyst.current_joint_prediction.image_sha256 IS 'SHA-256 of the image''s bytes.';
COMMENT ON COLUMN analyst.current_joint_prediction.image_uri IS 'Where the image was found.';
COMMENT ON COLUMN analyst.current_joint_prediction.model_version IS 'The champion.';
COMMENT ON COLUMN analyst.current_joint_prediction.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
COMMENT ON COLUMN analyst.current_joint_prediction.batch_date IS 'Night in which the image was first scored; a rescored history keeps its nights.';
COMMENT ON COLUMN analyst.current_joint_prediction.scored_at IS 'When it was scored.';
