-- Title: Readings against predictions
-- Description: Every human reading of a joint beside the champion's prediction for the same joint on the same radiograph. A
-- radiograph that was read twice gives two rows, which is what agreement between readers is computed from. A reading that
-- its consultation no longer holds is left out.

CREATE VIEW analyst.reading_versus_prediction AS
SELECT
    joint_reading.patient_id,
    radiograph.visit_date,
    joint_reading.sop_iuid,
    joint_reading.joint,
    joint_reading.id_x,
    joint_reading.read_on,
    joint_reading.reading_percent AS reading_percent,
    joint_reading.reading_grade AS reading_grade,
    prediction.predicted_percent AS predicted_percent,
    prediction.predicted_q05 AS predicted_q05,
    prediction.predicted_q95 AS predicted_q95,
    prediction.predicted_grade AS predicted_grade,
    prediction.predicted_grade - joint_reading.reading_grade AS grade_difference,
    prediction.model_version,
    champion.trained_on_synthetic
FROM registry.joint_reading
INNER JOIN registry.radiograph ON joint_reading.sop_iuid = radiograph.sop_iuid
INNER JOIN scoring.joint_prediction AS prediction
    ON joint_reading.sop_iuid = prediction.sop_iuid
    AND joint_reading.joint = prediction.joint
INNER JOIN analyst.champion
    ON prediction.model_version = champion.model_version
    AND prediction.preprocessing_version = champion.preprocessing_version
WHERE joint_reading.withdrawn_on IS NULL;

COMMENT ON VIEW analyst.reading_versus_prediction IS 'Every human reading beside the champion''s prediction, one row a reading; joints that lack either are left out.';
COMMENT ON COLUMN analyst.reading_versus_prediction.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.reading_versus_prediction.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.reading_versus_prediction.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN analyst.reading_versus_prediction.joint IS 'The joint, by its registry column.';
COMMENT ON COLUMN analyst.reading_versus_prediction.id_x IS 'The consultation in which the joint was read.';
COMMENT ON COLUMN analyst.reading_versus_prediction.read_on IS 'Date on which the radiograph was read.';
COMMENT ON COLUMN analyst.reading_versus_prediction.reading_percent IS 'Eroded share of the joint surface as read, percent.';
COMMENT ON COLUMN analyst.reading_versus_prediction.reading_grade IS 'Ratingen grade of the reading, 0-5.';
COMMENT ON COLUMN analyst.reading_versus_prediction.predicted_percent IS 'Expected eroded share, percent.';
COMMENT ON COLUMN analyst.reading_versus_prediction.predicted_q05 IS 'Lower end of the calibrated 90 % interval, percent.';
COMMENT ON COLUMN analyst.reading_versus_prediction.predicted_q95 IS 'Upper end of the calibrated 90 % interval, percent.';
COMMENT ON COLUMN analyst.reading_versus_prediction.predicted_grade IS 'Predicted Ratingen grade, 0-5, by the model''s own rule; not always the grade of predicted_percent.';
COMMENT ON COLUMN analyst.reading_versus_prediction.grade_difference IS 'Predicted minus read grade, -5 to 5; above 0 the model sees more damage.';
COMMENT ON COLUMN analyst.reading_versus_prediction.model_version IS 'The champion.';
COMMENT ON COLUMN analyst.reading_versus_prediction.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
