-- Title: Radiographs without a Rau score
-- Description: Radiographs with joint predictions by a model that have no Rau score for their present visit, or with a
-- visit score that is missing or has another number of joints. This happens after a radiograph was moved to another
-- visit.
-- Parameters: model_version.

WITH visit AS (
    SELECT
        radiograph.patient_id, radiograph.visit_date, scorer.version, scorer.preprocessing_version,
        array_agg(DISTINCT prediction.sop_iuid) AS sop_iuids,
        count(DISTINCT prediction.joint) AS n_joints
    FROM scoring.joint_prediction AS prediction
    INNER JOIN scoring.model_version AS scorer
        ON prediction.model_version = scorer.version AND prediction.preprocessing_version = scorer.preprocessing_version
    INNER JOIN registry.radiograph ON prediction.sop_iuid = radiograph.sop_iuid
    WHERE prediction.model_version = :model_version
    GROUP BY radiograph.patient_id, radiograph.visit_date, scorer.version, scorer.preprocessing_version
)

SELECT scored.sop_iuid
FROM visit
CROSS JOIN LATERAL unnest(visit.sop_iuids) AS scored (sop_iuid)
LEFT JOIN scoring.rau_prediction AS of_visit
    ON of_visit.scope = 'visit'
    AND visit.patient_id = of_visit.patient_id
    AND visit.visit_date = of_visit.visit_date
    AND visit.version = of_visit.model_version
    AND visit.preprocessing_version = of_visit.preprocessing_version
LEFT JOIN scoring.rau_prediction AS of_radiograph
    ON of_radiograph.scope = 'radiograph'
    AND visit.patient_id = of_radiograph.patient_id
    AND visit.visit_date = of_radiograph.visit_date
    AND scored.sop_iuid = of_radiograph.sop_iuid
    AND visit.version = of_radiograph.model_version
    AND visit.preprocessing_version = of_radiograph.preprocessing_version
WHERE
    of_radiograph.n_scored IS NULL
    OR of_visit.n_scored IS DISTINCT FROM visit.n_joints
ORDER BY scored.sop_iuid
