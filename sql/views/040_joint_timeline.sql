-- Title: Joints over time
-- Description: Latest human reading and champion's prediction for each joint of each radiograph; either may be missing.
-- Erosions rarely heal, so a decrease is a reason to look at the images.

CREATE VIEW analyst.joint_timeline AS
SELECT
    radiograph.patient_id, shown.joint, radiograph.visit_date, shown.sop_iuid,
    shown.reading_percent, shown.reading_grade, shown.read_on, shown.n_readings,
    shown.predicted_percent, shown.predicted_q05, shown.predicted_q95, shown.predicted_grade,
    shown.image_uri, shown.model_version, shown.trained_on_synthetic
FROM registry.radiograph
-- Evaluated per radiograph, so that a query for one patient reads the radiographs of that patient only.
CROSS JOIN LATERAL (
    WITH reading AS (
        SELECT DISTINCT ON (joint_reading.joint)
            joint_reading.joint,
            joint_reading.reading_percent, joint_reading.reading_grade, joint_reading.read_on,
            count(*) OVER (PARTITION BY joint_reading.joint) AS n_readings
        FROM registry.joint_reading
        WHERE joint_reading.sop_iuid = radiograph.sop_iuid AND joint_reading.withdrawn_on IS NULL
        ORDER BY joint_reading.joint ASC, joint_reading.read_on DESC NULLS LAST, joint_reading.id_x DESC
    ),

    prediction AS (
        SELECT current_joint_prediction.*
        FROM analyst.current_joint_prediction
        WHERE current_joint_prediction.sop_iuid = radiograph.sop_iuid
    )

    SELECT
        radiograph.sop_iuid, coalesce(reading.joint, prediction.joint) AS joint,
        reading.reading_percent, reading.reading_grade,
        reading.read_on, coalesce(reading.n_readings, 0) AS n_readings,
        prediction.predicted_percent, prediction.predicted_q05, prediction.predicted_q95,
        prediction.predicted_grade, prediction.image_uri,
        prediction.model_version, prediction.trained_on_synthetic
    FROM reading
    FULL OUTER JOIN prediction ON reading.joint = prediction.joint
) AS shown;

COMMENT ON VIEW analyst.joint_timeline IS 'Latest human reading and prediction of the champion: one row per radiograph and joint. Order by visit_date to follow a joint.';
COMMENT ON COLUMN analyst.joint_timeline.reading_percent IS 'Eroded share of the joint surface by the latest reading, percent; null if the joint was not read.';
COMMENT ON COLUMN analyst.joint_timeline.read_on IS 'Date of the latest reading.';
COMMENT ON COLUMN analyst.joint_timeline.n_readings IS 'Number of readings of this joint on this radiograph.';
