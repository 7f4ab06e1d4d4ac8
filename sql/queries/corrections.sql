-- Title: Corrections of the registry
-- Description: Values that a newer batch replaced, newest first. Results as of an earlier date use the old values.
-- Withdrawn joint readings are not listed.

SELECT
    correction.new_batch_date, correction.dataset, correction.record_id,
    correction.value_name, correction.old_value, correction.new_value,
    correction.old_batch_date
FROM analyst.correction
ORDER BY correction.new_batch_date DESC, correction.correction_id DESC, correction.value_name ASC;
