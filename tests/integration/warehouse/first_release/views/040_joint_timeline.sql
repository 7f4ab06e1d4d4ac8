-- Title: Joints of a patient over time
-- Description: For each joint on each film the latest human reading beside the champion's prediction; either may be
-- missing. Erosions rarely heal, so a falling line is a reason to look at the images.

CREATE VIEW analyst.joint_timeline AS
WITH latest_reading AS (
    SELECT DISTINCT ON (joint_reading.sop_iuid, joint_reading.joint)
        joint_reading.sop_iuid,
        joint_reading.joint,
        joint_reading.erosion_percent,
        joint_reading.ratingen_grade,
        joint_reading.read_on,
        count(*) OVER (PARTITION BY joint_reading.sop_iuid, joint_reading.joint) AS n_readings
    FROM registry.joint_reading
    WHERE
        joint_reading.sop_iuid IS NOT NULL
        AND joint_reading.withdrawn_on IS NULL
    ORDER BY
        joint_reading.sop_iuid ASC, joint_reading.joint ASC, joint_reading.read_on DESC NULLS LAST,
        joint_reading.id_x DESC
),

joint_of_film AS (
    SELECT
        coalesce(reading.sop_iuid, prediction.sop_iuid) AS sop_iuid,
        coalesce(reading.joint, prediction.joint) AS joint,
        reading.erosion_percent,
        reading.ratingen_grade AS reading_grade,
        reading.read_on,
        coalesce(reading.n_readings, 0) AS n_readings,
        prediction.erosion_mean,
        prediction.erosion_q05,
        prediction.erosion_q95,
        prediction.ratingen_grade AS predicted_grade,
        prediction.image_uri,
        prediction.model_version,
        prediction.trained_on_synthetic
    FROM latest_reading AS reading
    FULL OUTER JOIN analyst.current_joint_prediction AS prediction
        ON reading.sop_iuid = prediction.sop_iuid
        AND reading.joint = prediction.joint
)

SELECT
    radiograph.patient_id,
    joint_of_film.joint,
    radiograph.visit_date,
    joint_of_film.sop_iuid,
    joint_of_film.erosion_percent AS reading_percent,
    joint_of_film.reading_grade,
    joint_of_film.read_on,
    joint_of_film.n_readings,
    joint_of_film.erosion_mean AS predicted_percent,
    joint_of_film.erosion_q05 AS predicted_q05,
    joint_of_film.erosion_q95 AS predicted_q95,
    joint_of_film.predicted_grade,
    joint_of_film.image_uri,
    joint_of_film.model_version,
    joint_of_film.trained_on_synthetic
FROM joint_of_film
INNER JOIN registry.radiograph ON joint_of_film.sop_iuid = radiograph.sop_iuid;
