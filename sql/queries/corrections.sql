-- Title: What the registry corrected
-- Description: Values that a newer export replaced, the newest first. Figures as of an earlier date were made with the
-- old ones; joint readings that were taken back are not in this list.

SELECT
    correction.replaced_in,
    correction.dataset,
    correction.record_id,
    correction.value_name,
    correction.old_value,
    correction.new_value,
    correction.batch_date AS delivered_in
FROM analyst.correction
ORDER BY correction.replaced_in DESC, correction.correction_id DESC, correction.value_name ASC;
