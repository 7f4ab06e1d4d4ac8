-- Title: Images that a rescoring could not score
-- Description: Accepted images with missing or changed files, by the last rescoring that tried to score them.
-- has_prediction tells whether a later rescoring succeeded.

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

COMMENT ON VIEW analyst.rescoring_rejection IS 'Accepted images that a rescoring could not score: one row per model and image.';
COMMENT ON COLUMN analyst.rescoring_rejection.reason IS 'Problem with the file, in one sentence.';
COMMENT ON COLUMN analyst.rescoring_rejection.has_prediction IS 'True if the model has scored the image since.';
COMMENT ON COLUMN analyst.rescoring_rejection.model_version IS 'Model of the rescoring.';
COMMENT ON COLUMN analyst.rescoring_rejection.rejected_at IS 'Time at which the problem was found.';
