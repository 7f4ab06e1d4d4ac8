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
    joint_prediction.erosion_mean,
    joint_prediction.erosion_median,
    joint_prediction.erosion_q05,
    joint_prediction.erosion_q95,
    joint_prediction.ratingen_grade,
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
