-- ------------------------------------------------------------------
-- Title: Disease activity of the registry, for the nightly job
-- Description: One row a patient and visit that may be new or changed.
--   Fit the table and its columns to the registry; the names of the
--   result are the contract. das28bsr_score is the DAS28 with the
--   sedimentation rate (German: BSR), das283crp_score the three-variable
--   DAS28 with CRP. The components at the end are optional: leave out what
--   is not recorded. ESR is in mm/h, CRP in mg/L.
-- Parameters: :window_start (inclusive), :window_end (exclusive). The job
--   sets them to the night less SCORING_LOOKBACK_DAYS and to the day
--   after the night. Rows delivered before and unchanged are recognised,
--   so the window may overlap the nights before: laboratory values that
--   come within the look-back after a visit arrive.
-- Adapt: If the registry records when a row was last changed, filter by
--   that timestamp instead of the visit's date: then values that come or
--   are corrected still later arrive as well.
-- ------------------------------------------------------------------
SELECT
    a.patient_id,
    a.date,
    a.physician_global_disease_activity,
    a.global_patient_estimate_disease_activity,
    a.das28bsr_score,
    a.das283crp_score,
    a.swollen_28,
    a.tender_28,
    a.esr,
    a.crp
FROM disease_activity AS a
WHERE
    a.date >= :window_start
    AND a.date < :window_end
ORDER BY a.patient_id, a.date
