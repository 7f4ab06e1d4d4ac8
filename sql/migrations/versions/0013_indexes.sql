-- Title: Indexes for ten million predictions
-- Description: With ten million predictions their table is larger than what can be read while a person waits. What a
-- run predicted is asked by the night's page (with which engine?) and by whoever follows a number back
-- (analyst.lineage). What is set beside a reading (analyst.reading_versus_prediction), and the score that was reported
-- last for a visit (analyst.rau_by_visit), is found in the index itself.
-- Tables are not partitioned by date: a night or a year is found through its index as quickly, and the key of a
-- prediction, which keeps a second run from writing it again, would no longer be unique over all nights
-- (docs/performance.md).

CREATE INDEX joint_prediction_by_run ON scoring.joint_prediction (run_id);

DROP INDEX scoring.joint_prediction_by_joint;

CREATE INDEX joint_prediction_by_joint ON scoring.joint_prediction (sop_iuid, joint, model_version)
INCLUDE (preprocessing_version, predicted_percent, predicted_q05, predicted_q95, predicted_grade);

CREATE INDEX consultation_by_reported
ON registry.consultation (patient_id, visit_date, read_on DESC NULLS LAST, id_x DESC)
INCLUDE (reported_rau)
WHERE reported_rau IS NOT NULL;
