-- Title: Joint predictions of visits
-- Description: Predictions by a model for all joints of the visits to which the given radiographs belong, or belonged
-- when they were last scored. The Rau score of a visit needs the joints of all its radiographs, also of earlier
-- batches, and a moved radiograph changes two visits: the one that it left and the one that it joined.
-- Parameters: model_version, preprocessing_version, sop_iuids.

WITH affected AS (
    SELECT patient_id, visit_date
    FROM registry.radiograph
    WHERE sop_iuid = any(:sop_iuids)
    UNION
    SELECT patient_id, visit_date
    FROM scoring.rau_prediction
    WHERE
        scope = 'radiograph'
        AND sop_iuid = any(:sop_iuids)
        AND model_version = :model_version
        AND preprocessing_version = :preprocessing_version
)

SELECT
    radiograph.patient_id, radiograph.visit_date,
    prediction.sop_iuid, prediction.joint, prediction.image_sha256,
    prediction.predicted_percent, prediction.predicted_grade, prediction.grade_probability,
    prediction.batch_date
FROM scoring.joint_prediction AS prediction
INNER JOIN registry.radiograph ON prediction.sop_iuid = radiograph.sop_iuid
WHERE
    prediction.model_version = :model_version
    AND prediction.preprocessing_version = :preprocessing_version
    AND (radiograph.patient_id, radiograph.visit_date) IN (
        SELECT affected.patient_id, affected.visit_date
        FROM affected
    )
ORDER BY radiograph.patient_id, radiograph.visit_date, prediction.sop_iuid, prediction.joint
