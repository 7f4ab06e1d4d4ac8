-- Title: Images that wait for a model
-- Description: Accepted images without a prediction by a model. They are sorted by visit, so that a shard contains most
-- visits completely.
-- Parameters: model_version; not_rejected_by, a rescoring run, to exclude the images that it rejected, or null.

SELECT image.image_sha256, image.sop_iuid, image.joint, image.uri, image.batch_date
FROM scoring.waiting_images(:model_version) AS image
WHERE
    NOT EXISTS (
        SELECT FROM scoring.rescoring_rejection AS rejection
        WHERE rejection.image_sha256 = image.image_sha256 AND rejection.run_id = :not_rejected_by
    )
ORDER BY image.patient_id, image.visit_date, image.sop_iuid, image.joint
