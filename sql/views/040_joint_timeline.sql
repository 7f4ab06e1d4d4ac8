-- Title: Joints of a patient over time
-- Description: For each joint on each radiograph the latest human reading beside the champion's prediction; either may be
-- missing. Erosions rarely heal, so a falling line is a reason to look at the images.

CREATE VIEW analyst.joint_timeline AS
SELECT
    radiograph.patient_id,
    joint_of_radiograph.joint,
    radiograph.visit_date,
    joint_of_radiograph.sop_iuid,
    joint_of_radiograph.reading_percent,
    joint_of_radiograph.reading_grade,
    joint_of_radiograph.read_on,
    joint_of_radiograph.n_readings,
    joint_of_radiograph.predicted_percent,
    joint_of_radiograph.predicted_q05,
    joint_of_radiograph.predicted_q95,
    joint_of_radiograph.predicted_grade,
    joint_of_radiograph.image_uri,
    joint_of_radiograph.model_version,
    joint_of_radiograph.trained_on_synthetic
FROM registry.radiograph
-- Radiograph by radiograph, so that who asks for one patient waits for that patient's radiographs and not for everybody's.
CROSS JOIN LATERAL (
    WITH reading AS (
        SELECT DISTINCT ON (joint_reading.joint)
            joint_reading.joint,
            joint_reading.reading_percent,
            joint_reading.reading_grade,
            joint_reading.read_on,
            count(*) OVER (PARTITION BY joint_reading.joint) AS n_readings
        FROM registry.joint_reading
        WHERE
            joint_reading.sop_iuid = radiograph.sop_iuid
            AND joint_reading.withdrawn_on IS NULL
        ORDER BY joint_reading.joint ASC, joint_reading.read_on DESC NULLS LAST, joint_reading.id_x DESC
    ),

    prediction AS (
        SELECT current_joint_prediction.*
        FROM analyst.current_joint_prediction
        WHERE current_joint_prediction.sop_iuid = radiograph.sop_iuid
    )

    SELECT
        radiograph.sop_iuid,
        coalesce(reading.joint, prediction.joint) AS joint,
        reading.reading_percent AS reading_percent,
        reading.reading_grade AS reading_grade,
        reading.read_on,
        coalesce(reading.n_readings, 0) AS n_readings,
        prediction.predicted_percent AS predicted_percent,
        prediction.predicted_q05 AS predicted_q05,
        prediction.predicted_q95 AS predicted_q95,
        prediction.predicted_grade AS predicted_grade,
        prediction.image_uri,
        prediction.model_version,
        prediction.trained_on_synthetic
    FROM reading
    FULL OUTER JOIN prediction ON reading.joint = prediction.joint
) AS joint_of_radiograph;

COMMENT ON VIEW analyst.joint_timeline IS 'Each joint on each radiograph: the latest human reading beside the champion''s prediction; order by visit_date to follow a joint.';
COMMENT ON COLUMN analyst.joint_timeline.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.joint_timeline.joint IS 'The joint, by its registry column.';
COMMENT ON COLUMN analyst.joint_timeline.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.joint_timeline.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN analyst.joint_timeline.reading_percent IS 'Eroded share of the joint surface by the latest reading, percent; null if never read.';
COMMENT ON COLUMN analyst.joint_timeline.reading_grade IS 'Ratingen grade of that reading, 0-5.';
COMMENT ON COLUMN analyst.joint_timeline.read_on IS 'Date of that reading.';
COMMENT ON COLUMN analyst.joint_timeline.n_readings IS 'How often this joint was read on this radiograph.';
COMMENT ON COLUMN analyst.joint_timeline.predicted_percent IS 'Expected eroded share by the champion, percent; null if not scored.';
COMMENT ON COLUMN analyst.joint_timeline.predicted_q05 IS 'Lower end of the calibrated 90 % interval, percent.';
COMMENT ON COLUMN analyst.joint_timeline.predicted_q95 IS 'Upper end of the calibrated 90 % interval, percent.';
COMMENT ON COLUMN analyst.joint_timeline.predicted_grade IS 'Predicted Ratingen grade, 0-5, by the model''s own rule; not always the grade of predicted_percent.';
COMMENT ON COLUMN analyst.joint_timeline.image_uri IS 'Where the scored image was found.';
COMMENT ON COLUMN analyst.joint_timeline.model_version IS 'The champion; null if not scored.';
COMMENT ON COLUMN analyst.joint_timeline.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
