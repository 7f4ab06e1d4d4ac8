-- ------------------------------------------------------------------
-- Title: Consultations from the registry database
-- Description: One row per consultation that may be new or changed. Adapt
--   the table and its columns to the registry; the column names of the
--   result are the landing contract. Identifiers are text, so that leading
--   zeros are kept. Readings are percent eroded (0-100), null if a joint
--   was not read.
-- Parameters: window_start (inclusive), window_end (exclusive). The job
--   sets them to the batch date minus the look-back
--   (SCORING_LOOKBACK_DAYS) and to the day after the batch date. The
--   window may overlap earlier ones, because unchanged rows are recognised.
-- Adapt: If the registry records when a row was last changed, filter by
--   that timestamp instead. Late readings and corrections then arrive too.
--   Without it, a consultation is selected by the date of its reading
--   (date_y), or by the date of the radiograph (date_x) if it was not read
--   yet. Changes after the end of the look-back are missed, and so are rows
--   without both dates.
-- ------------------------------------------------------------------
SELECT
    c.id_x, c.patient_id, c.date_x, c.date_y, c.sop_iuid, c.body_part,
    c.hand_left_1, c.hand_left_2, c.hand_left_3, c.hand_left_4, c.hand_left_5,
    c.hand_left_6, c.hand_left_7, c.hand_left_8, c.hand_left_9, c.hand_left_10,
    c.rau_score
FROM consultations AS c
WHERE
    coalesce(c.date_y, c.date_x) >= :window_start
    AND coalesce(c.date_y, c.date_x) < :window_end
ORDER BY c.id_x
