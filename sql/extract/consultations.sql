-- ------------------------------------------------------------------
-- Title: Consultations of the registry, for the nightly job
-- Description: One row a consultation that may be new or changed. Fit the
--   table and its columns to the registry; the names of the result are
--   the contract. Identifiers are text, so that leading zeros stay.
--   Readings are percent eroded (0-100), null if a joint was not read.
-- Parameters: :window_start (inclusive), :window_end (exclusive). The job
--   sets them to the night less SCORING_LOOKBACK_DAYS and to the day
--   after the night. Rows delivered before and unchanged are recognised,
--   so the window may overlap the nights before.
-- Adapt: If the registry records when a row was last changed, filter by
--   that timestamp instead of the dates: then a radiograph that is read months
--   later and the correction of an old reading arrive as well.
--   Without one, a consultation arrives by the day it was read (date_y),
--   or, not read yet, by the day it was taken (date_x): what changes later
--   than the look-back after that is not seen. A row with neither date
--   belongs to no night.
-- ------------------------------------------------------------------
SELECT
    c.id_x,
    c.patient_id,
    c.date_x,
    c.date_y,
    c.sop_iuid,
    c.body_part,
    c.hand_left_1,
    c.hand_left_2,
    c.hand_left_3,
    c.hand_left_4,
    c.hand_left_5,
    c.hand_left_6,
    c.hand_left_7,
    c.hand_left_8,
    c.hand_left_9,
    c.hand_left_10,
    c.rau_score
FROM consultations AS c
WHERE
    coalesce(c.date_y, c.date_x) >= :window_start
    AND coalesce(c.date_y, c.date_x) < :window_end
ORDER BY c.id_x
