-- Title: Lineage of joint predictions
-- Description: Origin of every prediction by any model: image, model and weights, preprocessing version, code revision
-- and run.

CREATE VIEW analyst.lineage AS
SELECT
    prediction.sop_iuid, prediction.joint, prediction.predicted_percent, prediction.predicted_grade,
    prediction.image_sha256, image.uri AS image_uri,
    image.batch_date AS image_batch_date, image.first_seen_at AS image_first_seen_at,
    prediction.model_version, scorer.architecture, scorer.weights_sha256, scorer.trained_on_synthetic,
    coalesce(prediction.model_version = champion.model_version, FALSE) AS is_champion,
    prediction.preprocessing_version, prediction.engine, prediction.code_revision,
    prediction.run_id, run.job, run.batch_date, run.trigger, run.triggered_by, prediction.scored_at
FROM scoring.joint_prediction AS prediction
INNER JOIN imaging.joint_image AS image ON prediction.image_sha256 = image.image_sha256
INNER JOIN scoring.model_version AS scorer ON prediction.model_version = scorer.version
INNER JOIN scoring.run ON prediction.run_id = run.run_id
LEFT JOIN analyst.champion ON prediction.model_version = champion.model_version;

COMMENT ON VIEW analyst.lineage IS 'Origin of every joint prediction by any model.';
COMMENT ON COLUMN analyst.lineage.image_batch_date IS 'Batch that contained the image.';
COMMENT ON COLUMN analyst.lineage.image_first_seen_at IS 'Time at which the image was first accepted.';
COMMENT ON COLUMN analyst.lineage.model_version IS 'Model that made the prediction.';
COMMENT ON COLUMN analyst.lineage.engine IS 'Inference engine and precision: openvino/float32, openvino/bfloat16 or tensorflow/float32.';
COMMENT ON COLUMN analyst.lineage.batch_date IS 'Batch of the run.';
