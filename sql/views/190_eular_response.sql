-- Title: EULAR response
-- Description: From the first visit that has a form of DAS28 (the baseline) to each later visit with the same form, by
-- the fall of DAS28 and where it ends. A fall of more than 1.2 is a good response if it ends at 3.2 or below, else a
-- moderate one; a fall of more than 0.6 is moderate if it ends at 5.1 or below; anything else is none. Differences are
-- taken to six decimals, as 5.0 - 3.8 is more than 1.2 in binary. To start at another visit, such as that of a new
-- drug, join das28_by_form with itself by patient and form. The borders were made for DAS28-ESR.
-- van Gestel AM et al. Arthritis Rheum 1996;39:34-40; van Gestel AM, Haagsma CJ, van Riel PL. Arthritis Rheum
-- 1998;41:1845-1850. The same rule: scoring/clinical/das28.py.

CREATE VIEW analyst.eular_response AS
WITH followed AS (
    SELECT
        measured.patient_id,
        measured.form,
        first_value(measured.visit_date) OVER visits AS baseline_date,
        measured.visit_date,
        first_value(measured.das28) OVER visits AS baseline_das28,
        measured.das28,
        first_value(measured.origin) OVER visits AS baseline_origin,
        measured.origin
    FROM analyst.das28_by_form AS measured
    WINDOW visits AS (PARTITION BY measured.patient_id, measured.form ORDER BY measured.visit_date)
),

fallen AS (
    SELECT
        followed.*,
        round(followed.das28::numeric, 6) AS reached,
        round(followed.baseline_das28::numeric, 6) - round(followed.das28::numeric, 6) AS fall
    FROM followed
    WHERE followed.visit_date > followed.baseline_date
)

SELECT
    fallen.patient_id,
    fallen.form,
    fallen.baseline_date,
    fallen.visit_date,
    fallen.visit_date - fallen.baseline_date AS days_after,
    fallen.baseline_das28,
    fallen.das28,
    fallen.das28 - fallen.baseline_das28 AS das28_change,
    CASE
        WHEN fallen.fall > 1.2 AND fallen.reached <= 3.2 THEN 'good'
        WHEN fallen.fall > 1.2 OR (fallen.fall > 0.6 AND fallen.reached <= 5.1) THEN 'moderate'
        ELSE 'none'
    END AS response,
    fallen.baseline_origin,
    fallen.origin
FROM fallen;

COMMENT ON VIEW analyst.eular_response IS 'EULAR response of each visit against the patient''s first visit with the same form of DAS28, one row a form and later visit.';
COMMENT ON COLUMN analyst.eular_response.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.eular_response.form IS 'das28_esr4, das28_esr3 (sedimentation rate; four or three variables), das28_crp4 or das28_crp3 (C-reactive protein).';
COMMENT ON COLUMN analyst.eular_response.baseline_date IS 'Date of the first visit with this form.';
COMMENT ON COLUMN analyst.eular_response.visit_date IS 'Date of the later visit.';
COMMENT ON COLUMN analyst.eular_response.days_after IS 'Time from the baseline to it, in days.';
COMMENT ON COLUMN analyst.eular_response.baseline_das28 IS 'DAS28 at the baseline, points.';
COMMENT ON COLUMN analyst.eular_response.das28 IS 'DAS28 at the later visit, points, in the same form.';
COMMENT ON COLUMN analyst.eular_response.das28_change IS 'Later minus baseline, points; below 0 is better.';
COMMENT ON COLUMN analyst.eular_response.response IS 'good, moderate or none.';
COMMENT ON COLUMN analyst.eular_response.baseline_origin IS 'computed or reported, of the baseline.';
COMMENT ON COLUMN analyst.eular_response.origin IS 'computed or reported, of the later visit.';
