-- ------------------------------------------------------------------
-- Title: Disease activity from the registry database
-- Description: One row per patient and visit that may be new or changed.
--   Adapt the table and its columns to the registry; the column names of
--   the result are the landing contract. das28bsr_score is DAS28-ESR
--   (German: BSR), das283crp_score is three-variable DAS28-CRP. The
--   components at the end are optional; omit those that are not recorded.
--   ESR is in mm/h, CRP in mg/L.
-- Parameters: window_start (inclusive), window_end (exclusive). The job
--   sets them to the batch date minus the look-back
--   (SCORING_LOOKBACK_DAYS) and to the day after the batch date. The
--   window may overlap earlier ones, because unchanged rows are
--   recognised. Laboratory values that are added during the look-back
--   arrive too.
-- Adapt: If the registry records when a row was last changed, filter by
--   that timestamp instead of the date of the visit. Later additions and
--   corrections then arrive too.
-- ------------------------------------------------------------------
SELECT
    a.patient_id, a.date,
    a.physician_global_disease_activity, a.global_patient_estimate_disease_activity,
    a.das28bsr_score, a.das283crp_score,
    a.swollen_28, a.tender_28, a.esr, a.crp
FROM disease_activity AS a
WHERE
    a.date >= :window_start
    AND a.date < :window_end
ORDER BY a.patient_id, a.date
