-- Title: Images that a rescoring could not score
-- Description: Accepted images of the history whose files were gone or changed when a new model came to score them, by
-- the last rescoring that met them. has_prediction tells whether a later one could after all.

CREATE VIEW analyst.rescoring_rejection AS
SELECT DISTINCT ON (run.model_version, rescoring_rejection.image_sha256)
    joint_image.sop_iuid,
    joint_image.joint,
    joint_image.image_sha256,
    joint_image.uri AS image_uri,
    rescoring_rejection.reason,
    joint_prediction.image_sha256 IS NOT NULL AS has_prediction,
    run.model_version,
    model_version.trained_on_synthetic,
    rescoring_rejection.run_id,
    rescoring_rejection.rejected_at
FROM scoring.rescoring_rejection
INNER JOIN imaging.joint_image ON rescoring_rejection.image_sha256 = joint_image.image_sha256
INNER JOIN scoring.run ON rescoring_rejection.run_id = run.run_id
INNER JOIN scoring.model_version ON run.model_version = model_version.version
LEFT JOIN scoring.joint_prediction
    ON rescoring_rejection.image_sha256 = joint_prediction.image_sha256
    AND model_version.version = joint_prediction.model_version
    AND model_version.preprocessing_version = joint_prediction.preprocessing_version
ORDER BY run.model_version ASC, rescoring_rejection.image_sha256 ASC, rescoring_rejection.rejected_at DESC;

COMMENT ON VIEW analyst.rescoring_rejection IS 'Accepted images that a rescoring could not score, one row a model and image.';
COMMENT ON COLUMN analyst.rescoring_rejection.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN analyst.rescoring_rejection.joint IS 'The joint, by its registry column.';
COMMENT ON COLUMN analyst.rescoring_rejection.image_sha256 IS 'SHA-256 of the bytes that were accepted.';
COMMENT ON COLUMN analyst.rescoring_rejection.image_uri IS 'Where the image was found when it was accepted.';
COMMENT ON COLUMN analyst.rescoring_rejection.reason IS 'What is the matter with the file.';
COMMENT ON COLUMN analyst.rescoring_rejection.has_prediction IS 'True if the model has scored the image since.';
COMMENT ON COLUMN analyst.rescoring_rejection.model_version IS 'The model that was to score it.';
COMMENT ON COLUMN analyst.rescoring_rejection.trained_on_synthetic IS 'True: that model was trained on synthetic phantoms.';
COMMENT ON COLUMN analyst.rescoring_rejection.run_id IS 'The rescoring.';
COMMENT ON COLUMN analyst.rescoring_rejection.rejected_at IS 'When that was found.';
