-- Title: Corrections of the registry
-- Description: Values that a newer batch replaced. A value that was replaced twice has two rows. A value as of batch D
-- is old_value of its first correction with new_batch_date > D, or the value in the other views if there is none.
-- Withdrawn joint readings are not corrections.

CREATE VIEW analyst.correction AS
SELECT
    correction.correction_id, correction.patient_id,
    correction.dataset, array_to_string(correction.record_key, ' ') AS record_id,
    changed.key AS value_name, changed.value AS old_value,
    correction.new_values ->> changed.key AS new_value,
    correction.old_batch_date, correction.new_batch_date, correction.run_id, correction.corrected_at
FROM registry.correction
CROSS JOIN LATERAL jsonb_each_text(correction.old_values) AS changed;

COMMENT ON VIEW analyst.correction IS 'Registry values that a newer batch replaced: one row per value.';
COMMENT ON COLUMN analyst.correction.correction_id IS 'Number of the correction; values of one record that changed together share it.';
COMMENT ON COLUMN analyst.correction.dataset IS 'radiograph, consultation, joint_reading or disease_activity.';
COMMENT ON COLUMN analyst.correction.record_id IS 'Key of the record: radiograph; consultation; consultation and joint; or patient and date of the visit.';
COMMENT ON COLUMN analyst.correction.value_name IS 'Name of the changed column.';
COMMENT ON COLUMN analyst.correction.old_value IS 'Old value, as text; null if there was none.';
COMMENT ON COLUMN analyst.correction.new_value IS 'New value, as text; null if the value was removed.';
COMMENT ON COLUMN analyst.correction.old_batch_date IS 'Newest batch that had delivered the old value.';
COMMENT ON COLUMN analyst.correction.new_batch_date IS 'Batch that delivered the new value.';
COMMENT ON COLUMN analyst.correction.corrected_at IS 'Time of the correction.';
