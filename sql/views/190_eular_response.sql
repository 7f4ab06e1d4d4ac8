-- Title: EULAR response
-- Description: Response from the first visit with a form of DAS28 (baseline) to each later visit with the same form. A
-- decrease of more than 1.2 is a good response if DAS28 reaches 3.2 or less, otherwise a moderate one. A decrease of
-- more than 0.6 is a moderate response if DAS28 reaches 5.1 or less. Anything else is no response. Differences are
-- rounded to six decimals, because 5.0 - 3.8 exceeds 1.2 in binary floating point. For another baseline, such as the
-- start of a new drug, join das28_by_form with itself by patient_id and activity. The limits were derived for
-- DAS28-ESR. van Gestel AM et al. Arthritis Rheum 1996;39:34-40; van Gestel AM, Haagsma CJ, van Riel PL. Arthritis
-- Rheum 1998;41:1845-1850. scoring/clinical/das28.py has the same rule.

CREATE VIEW analyst.eular_response AS
WITH followed AS (
    SELECT
        measured.patient_id, measured.activity, measured.visit_date, measured.das28, measured.origin,
        first_value(measured.visit_date) OVER visits AS baseline_date,
        first_value(measured.das28) OVER visits AS baseline_das28,
        first_value(measured.origin) OVER visits AS baseline_origin
    FROM analyst.das28_by_form AS measured
    WINDOW visits AS (PARTITION BY measured.patient_id, measured.activity ORDER BY measured.visit_date)
),

compared AS (
    SELECT
        followed.*,
        round(followed.das28::numeric, 6) AS reached,
        round(followed.baseline_das28::numeric, 6) - round(followed.das28::numeric, 6) AS decrease
    FROM followed
    WHERE followed.visit_date > followed.baseline_date
)

SELECT
    compared.patient_id, compared.activity, compared.baseline_date, compared.visit_date,
    compared.visit_date - compared.baseline_date AS days_after,
    compared.baseline_das28, compared.das28, compared.das28 - compared.baseline_das28 AS das28_change,
    CASE
        WHEN compared.decrease > 1.2 AND compared.reached <= 3.2 THEN 'good'
        WHEN compared.decrease > 1.2 OR (compared.decrease > 0.6 AND compared.reached <= 5.1) THEN 'moderate'
        ELSE 'none'
    END AS response,
    compared.baseline_origin, compared.origin
FROM compared;

COMMENT ON VIEW analyst.eular_response IS 'EULAR response against the first visit of the patient with the same form of DAS28: one row per form and later visit.';
COMMENT ON COLUMN analyst.eular_response.baseline_date IS 'Date of the first visit with this form.';
COMMENT ON COLUMN analyst.eular_response.visit_date IS 'Date of the later visit.';
COMMENT ON COLUMN analyst.eular_response.days_after IS 'Time from the baseline to the later visit, in days.';
COMMENT ON COLUMN analyst.eular_response.baseline_das28 IS 'DAS28 at the baseline, points.';
COMMENT ON COLUMN analyst.eular_response.das28 IS 'DAS28 at the later visit, points, in the same form.';
COMMENT ON COLUMN analyst.eular_response.das28_change IS 'Later minus baseline, points; negative if disease activity decreased.';
COMMENT ON COLUMN analyst.eular_response.response IS 'good, moderate or none.';
COMMENT ON COLUMN analyst.eular_response.baseline_origin IS 'Origin of the baseline value: computed or reported.';
COMMENT ON COLUMN analyst.eular_response.origin IS 'Origin of the later value: computed or reported.';
