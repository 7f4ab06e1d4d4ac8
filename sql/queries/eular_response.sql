-- Title: EULAR response after about a year
-- Description: Of the visits 9 to 15 months after a patient's first one, how many had a good, moderate or no response,
-- by DAS28-ESR of four variables; the forms do not compare, so ask for another by itself. Only the visit nearest to a
-- year counts of each patient. Numbers of fewer than 5 patients are left empty.

WITH after_a_year AS (
    SELECT DISTINCT ON (response.patient_id)
        response.patient_id,
        response.form,
        response.response
    FROM analyst.eular_response AS response
    WHERE
        response.form = 'das28_esr4'
        AND response.days_after BETWEEN 274 AND 456
    ORDER BY response.patient_id, abs(response.days_after - 365), response.days_after
)

SELECT
    form,
    response,
    CASE WHEN count(*) >= 5 THEN count(*) END AS n_patients
FROM after_a_year
GROUP BY form, response
ORDER BY form, response;
