-- Title: EULAR response after about one year
-- Description: Number of patients with a good, moderate or no response 9 to 15 months after their first visit, by
-- four-variable DAS28-ESR. The forms are not comparable, so query another one separately. Only the visit closest to one
-- year counts for each patient. Counts below 5 patients are suppressed.

WITH after_a_year AS (
    SELECT DISTINCT ON (response.patient_id)
        response.patient_id, response.activity, response.response
    FROM analyst.eular_response AS response
    WHERE response.activity = 'das28_esr4' AND response.days_after BETWEEN 274 AND 456
    ORDER BY response.patient_id, abs(response.days_after - 365), response.days_after
)

SELECT
    activity, response,
    CASE WHEN count(*) >= 5 THEN count(*) END AS n_patients
FROM after_a_year
GROUP BY activity, response
ORDER BY activity, response;
