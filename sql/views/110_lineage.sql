-- Title: Where a number comes from
-- Description: For every prediction ever made, by any model: which image bytes, which model and weights, which way of
-- preparing the image, which revision of the code, which run of which night, when and started by whom.

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

COMMENT ON VIEW analyst.lineage IS 'Origin of every prediction, of all models: image bytes, weights, preprocessing, code revision, run.';
COMMENT ON COLUMN analyst.lineage.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN analyst.lineage.joint IS 'The joint, by its registry column.';
COMMENT ON COLUMN analyst.lineage.predicted_percent IS 'Expected eroded share of the joint surface, percent.';
COMMENT ON COLUMN analyst.lineage.predicted_grade IS 'Predicted Ratingen grade, 0-5, by the model''s own rule; not always the grade of predicted_percent.';
COMMENT ON COLUMN analyst.lineage.image_sha256 IS 'SHA-256 of the bytes that were scored.';
COMMENT ON COLUMN analyst.lineage.image_uri IS 'Where the image was found.';
COMMENT ON COLUMN analyst.lineage.image_batch_date IS 'Landing folder in which it was found.';
COMMENT ON COLUMN analyst.lineage.image_first_seen_at IS 'When it was first accepted.';
COMMENT ON COLUMN analyst.lineage.model_version IS 'The model.';
COMMENT ON COLUMN analyst.lineage.architecture IS 'Its architecture.';
COMMENT ON COLUMN analyst.lineage.weights_sha256 IS 'SHA-256 of its weights.';
COMMENT ON COLUMN analyst.lineage.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
COMMENT ON COLUMN analyst.lineage.is_champion IS 'True if this is the model that the other views show today.';
COMMENT ON COLUMN analyst.lineage.preprocessing_version IS 'How the bytes became the network''s input.';
COMMENT ON COLUMN analyst.lineage.engine IS 'What ran the network, and how precisely: openvino/float32, openvino/bfloat16, tensorflow/float32.';
COMMENT ON COLUMN analyst.lineage.code_revision IS 'Revision of the software that scored.';
COMMENT ON COLUMN analyst.lineage.run_id IS 'Run that scored.';
COMMENT ON COLUMN analyst.lineage.job IS 'Job of that run.';
COMMENT ON COLUMN analyst.lineage.batch_date IS 'Night of that run.';
COMMENT ON COLUMN analyst.lineage.trigger IS 'The scheduler''s id of that run, or cli.';
COMMENT ON COLUMN analyst.lineage.triggered_by IS 'Who or what started it.';
COMMENT ON COLUMN analyst.lineage.scored_at IS 'When the prediction was written.';
