-- Title: Readings against predictions
-- Description: Every human reading of a joint beside the champion's prediction for the same joint on the same film. A
-- film that was read twice gives two rows, which is what agreement between readers is computed from. A reading that
-- its consultation no longer holds is left out.

CREATE VIEW analyst.reading_versus_prediction AS
SELECT
    joint_reading.patient_id,
    radiograph.visit_date,
    joint_reading.sop_iuid,
    joint_reading.joint,
    joint_reading.id_x,
    joint_reading.read_on,
    joint_reading.erosion_percent AS reading_percent,
    joint_reading.ratingen_grade AS reading_grade,
    prediction.erosion_mean AS predicted_percent,
    prediction.erosion_q05 AS predicted_q05,
    prediction.erosion_q95 AS predicted_q95,
    prediction.ratingen_grade AS predicted_grade,
    prediction.ratingen_grade - joint_reading.ratingen_grade AS grade_difference,
    prediction.model_version,
    prediction.trained_on_synthetic
FROM registry.joint_reading
INNER JOIN registry.radiograph ON joint_reading.sop_iuid = radiograph.sop_iuid
INNER JOIN analyst.current_joint_prediction AS prediction
    ON joint_reading.sop_iuid = prediction.sop_iuid
    AND joint_reading.joint = prediction.joint
WHERE joint_reading.withdrawn_on IS NULL;
