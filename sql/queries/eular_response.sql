-- Title: EULAR response after about a year
-- Description: Of the visits 9 to 15 months after a patient's first one, how many had a good, moderate or no response;
-- one row a form of DAS28, because the forms do not compare. Only the visit nearest to a year counts of each patient.
-- Numbers of fewer than 5 patients are left empty.

WITH after_a_year AS (
    SELECT DISTINCT ON (response.patient_id, response.form)
        response.patient_id,
        response.form,
        response.response
    FROM analyst.eular_response AS response
    WHERE response.days_after BETWEEN 274 AND 456
    ORDER BY response.patient_id, response.form, abs(response.days_after - 365)
)

SELECT
    form,
    response,
    CASE WHEN count(*) >= 5 THEN count(*) END AS n_patients
FROM after_a_year
GROUP BY form, response
ORDER BY form, response;
