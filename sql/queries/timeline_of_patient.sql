-- Title: Timeline of a patient
-- Description: All dated records of one patient in order. Replace 00001 by the pseudonym of a patient.

SELECT
    timeline.event_date, timeline.event_type, timeline.description,
    timeline.sop_iuid, timeline.trained_on_synthetic
FROM analyst.patient_timeline AS timeline
WHERE timeline.patient_id = '00001'
ORDER BY timeline.event_date, timeline.event_order, timeline.sop_iuid, timeline.id_x;
