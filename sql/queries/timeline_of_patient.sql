-- Title: Timeline of one patient
-- Description: Put a patient's pseudonym in the place of 00001. Everything dated that is known, from top to bottom.

SELECT
    timeline.event_date,
    timeline.kind,
    timeline.description,
    timeline.sop_iuid,
    timeline.trained_on_synthetic
FROM analyst.patient_timeline AS timeline
WHERE timeline.patient_id = '00001'
ORDER BY timeline.event_date, timeline.place, timeline.sop_iuid, timeline.id_x;
