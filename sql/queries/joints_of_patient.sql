-- Title: Joints of a patient over time
-- Description: Replace 00001 by the pseudonym of a patient; add a condition for a single joint if required. Each row
-- has the reading and the prediction; reading_percent is empty if the joint was not read. Erosions rarely heal, so look
-- at the images if a value decreases.

SELECT
    timeline.joint, timeline.visit_date,
    timeline.reading_percent, timeline.reading_grade,
    round(timeline.predicted_percent::numeric, 1) AS predicted_percent,
    round(timeline.predicted_q05::numeric, 1) AS interval_low,
    round(timeline.predicted_q95::numeric, 1) AS interval_high,
    timeline.predicted_grade,
    timeline.image_uri, timeline.trained_on_synthetic
FROM analyst.joint_timeline AS timeline
WHERE timeline.patient_id = '00001'
ORDER BY timeline.joint, timeline.visit_date, timeline.sop_iuid;
