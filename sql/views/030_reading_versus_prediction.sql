-- Title: Readings and predictions
-- Description: Human readings paired with the champion's prediction for the same joint of the same radiograph. A
-- radiograph that was read twice has two rows per joint, from which agreement between readers is computed. Withdrawn
-- readings are excluded.

CREATE VIEW analyst.reading_versus_prediction AS
SELECT
    reading.patient_id, radiograph.visit_date, reading.sop_iuid, reading.joint,
    reading.id_x, reading.read_on,
    reading.reading_percent, reading.reading_grade,
    prediction.predicted_percent, prediction.predicted_q05, prediction.predicted_q95,
    prediction.predicted_grade, prediction.predicted_grade - reading.reading_grade AS grade_difference,
    prediction.model_version, champion.trained_on_synthetic
FROM registry.joint_reading AS reading
INNER JOIN registry.radiograph ON reading.sop_iuid = radiograph.sop_iuid
INNER JOIN scoring.joint_prediction AS prediction
    ON reading.sop_iuid = prediction.sop_iuid AND reading.joint = prediction.joint
INNER JOIN analyst.champion
    ON prediction.model_version = champion.model_version
    AND prediction.preprocessing_version = champion.preprocessing_version
WHERE reading.withdrawn_on IS NULL;

COMMENT ON VIEW analyst.reading_versus_prediction IS 'Human readings with the prediction of the champion: one row per reading. Joints without a reading or without a prediction are excluded.';
COMMENT ON COLUMN analyst.reading_versus_prediction.id_x IS 'Consultation in which the joint was read.';
COMMENT ON COLUMN analyst.reading_versus_prediction.read_on IS 'Date on which the radiograph was read.';
COMMENT ON COLUMN analyst.reading_versus_prediction.reading_percent IS 'Eroded share of the joint surface as read, percent.';
COMMENT ON COLUMN analyst.reading_versus_prediction.grade_difference IS 'Predicted minus read grade, -5 to 5; a positive value means that the model sees more damage.';
