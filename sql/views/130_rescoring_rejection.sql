-- Title: Images that a rescoring could not score
-- Description: Accepted images with missing or changed files, by the last rescoring that tried to score them.
-- has_prediction is true if a later rescoring succeeded.

CREATE VIEW analyst.rescoring_rejection AS
SELECT DISTINCT ON (run.model_version, rejection.image_sha256)
    image.sop_iuid, image.joint, image.image_sha256, image.uri AS image_uri,
    rejection.reason, prediction.image_sha256 IS NOT NULL AS has_prediction,
    run.model_version, scorer.trained_on_synthetic, rejection.run_id, rejection.rejected_at
FROM scoring.rescoring_rejection AS rejection
INNER JOIN imaging.joint_image AS image ON rejection.image_sha256 = image.image_sha256
INNER JOIN scoring.run ON rejection.run_id = run.run_id
INNER JOIN scoring.model_version AS scorer ON run.model_version = scorer.version
LEFT JOIN scoring.joint_prediction AS prediction
    ON rejection.image_sha256 = prediction.image_sha256
    AND scorer.version = prediction.model_version
    AND scorer.preprocessing_version = prediction.preprocessing_version
ORDER BY run.model_version ASC, rejection.image_sha256 ASC, rejection.rejected_at DESC;

COMMENT ON VIEW analyst.rescoring_rejection IS 'Accepted images that a rescoring could not score: one row per model and image.';
COMMENT ON COLUMN analyst.rescoring_rejection.reason IS 'Problem with the file and remedy.';
COMMENT ON COLUMN analyst.rescoring_rejection.has_prediction IS 'True if the model has scored the image since.';
COMMENT ON COLUMN analyst.rescoring_rejection.model_version IS 'Model of the rescoring.';
COMMENT ON COLUMN analyst.rescoring_rejection.rejected_at IS 'Time at which the problem was found.';
