-- Title: Where a number comes from
-- Description: For every prediction ever made, by any model: which image bytes, which model and weights, which way of
-- preparing the image, which revision of the code, which run of which night, when and started by whom.

CREATE VIEW analyst.lineage AS
SELECT
    joint_prediction.sop_iuid,
    joint_prediction.joint,
    joint_prediction.erosion_mean,
    joint_prediction.ratingen_grade,
    joint_prediction.image_sha256,
    joint_image.uri AS image_uri,
    joint_image.batch_date AS image_batch_date,
    joint_image.first_seen_at AS image_first_seen_at,
    joint_prediction.model_version,
    model_version.architecture,
    model_version.weights_sha256,
    model_version.trained_on_synthetic,
    coalesce(joint_prediction.model_version = champion.model_version, FALSE) AS is_champion,
    joint_prediction.preprocessing_version,
    joint_prediction.engine,
    joint_prediction.code_revision,
    joint_prediction.run_id,
    run.job,
    run.batch_date,
    run.trigger,
    run.triggered_by,
    joint_prediction.scored_at
FROM scoring.joint_prediction
INNER JOIN imaging.joint_image ON joint_prediction.image_sha256 = joint_image.image_sha256
INNER JOIN scoring.model_version ON joint_prediction.model_version = model_version.version
INNER JOIN scoring.run ON joint_prediction.run_id = run.run_id
LEFT JOIN analyst.champion ON joint_prediction.model_version = champion.model_version;
