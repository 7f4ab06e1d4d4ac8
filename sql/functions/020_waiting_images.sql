-- Title: Images that wait for a model
-- Description: A newly promoted model takes effect when it has scored every accepted image. A rescoring scores the
-- remaining images in shards.

DROP FUNCTION IF EXISTS scoring.waiting_images(text);

CREATE FUNCTION scoring.waiting_images(model text)
RETURNS TABLE (
    image_sha256 text,
    sop_iuid text,
    joint text,
    uri text,
    patient_id text,
    visit_date date,
    batch_date date
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
SELECT
    image.image_sha256, image.sop_iuid, image.joint, image.uri,
    radiograph.patient_id, radiograph.visit_date,
    -- Of the run and not of the image: a late file is in an older folder than the batch in which it was first scored.
    accepting.batch_date
FROM imaging.joint_image AS image
INNER JOIN scoring.model_version AS scorer ON scorer.version = model
INNER JOIN registry.radiograph ON radiograph.sop_iuid = image.sop_iuid
INNER JOIN scoring.run AS accepting ON accepting.run_id = image.run_id
WHERE NOT EXISTS (
    SELECT
    FROM scoring.joint_prediction AS prediction
    WHERE
        prediction.image_sha256 = image.image_sha256
        AND prediction.model_version = scorer.version
        AND prediction.preprocessing_version = scorer.preprocessing_version
)
$$;

COMMENT ON FUNCTION scoring.waiting_images(text) IS 'Accepted images without a prediction by a model, with the visit of the radiograph and the batch of the run that first accepted the image.';
