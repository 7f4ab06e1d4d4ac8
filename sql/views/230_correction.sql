-- Title: What the registry corrected
-- Description: Each value that a newer landing folder replaced, as it was and as it became; a value that was replaced
-- twice has two rows. A value as of a folder D is old_value of its first correction with replaced_in after D, and
-- without one what the other views show. Withdrawn joint readings are no corrections: the views leave them out.

CREATE VIEW analyst.correction AS
SELECT
    correction.correction_id,
    correction.patient_id,
    correction.dataset,
    array_to_string(correction.record_key, ' ') AS record_id,
    changed.key AS value_name,
    changed.value AS old_value,
    correction.became ->> changed.key AS new_value,
    correction.batch_date,
    correction.replaced_in,
    correction.run_id,
    correction.corrected_at
FROM registry.correction
CROSS JOIN LATERAL jsonb_each_text(correction.was) AS changed;

COMMENT ON VIEW analyst.correction IS 'Values of the registry that a newer folder replaced, one row a value.';
COMMENT ON COLUMN analyst.correction.correction_id IS 'Number of the correction; values of one record that changed together share it.';
COMMENT ON COLUMN analyst.correction.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.correction.dataset IS 'radiograph, consultation, joint_reading or disease_activity.';
COMMENT ON COLUMN analyst.correction.record_id IS 'Key of the record: radiograph; consultation; consultation and joint; patient and date of the visit.';
COMMENT ON COLUMN analyst.correction.value_name IS 'Name of the column that changed.';
COMMENT ON COLUMN analyst.correction.old_value IS 'Its value before, as text; null if there was none.';
COMMENT ON COLUMN analyst.correction.new_value IS 'Its value after, as text; null if it was taken away.';
COMMENT ON COLUMN analyst.correction.batch_date IS 'Newest landing folder that had delivered the old value.';
COMMENT ON COLUMN analyst.correction.replaced_in IS 'Landing folder that brought the new one.';
COMMENT ON COLUMN analyst.correction.run_id IS 'Run that wrote the new one.';
COMMENT ON COLUMN analyst.correction.corrected_at IS 'When.';
