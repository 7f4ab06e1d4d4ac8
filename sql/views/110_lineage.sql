-- Title: Lineage of joint predictions
-- Description: Origin of every prediction by any model: image, model and weights, preprocessing version, code revision
-- and run.

CREATE VIEW analyst.lineage AS
SELECT
    joint_prediction.sop_iuid,
    joint_prediction.joint,
    joint_prediction.predicted_percent,
    joint_prediction.predicted_grade,
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

COMMENT ON VIEW analyst.lineage IS 'Origin of every joint prediction of all models.';
COMMENT ON COLUMN analyst.lineage.image_batch_date IS 'Batch that contained the image.';
COMMENT ON COLUMN analyst.lineage.image_first_seen_at IS 'Time at which the image was first accepted.';
COMMENT ON COLUMN analyst.lineage.model_version IS 'Model that made the prediction.';
COMMENT ON COLUMN analyst.lineage.engine IS 'Inference engine and precision: openvino/float32, openvino/bfloat16 or tensorflow/float32.';
COMMENT ON COLUMN analyst.lineage.batch_date IS 'Batch of that run.';
