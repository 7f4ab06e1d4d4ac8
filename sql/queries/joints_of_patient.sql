-- Title: Joints of one patient over time
-- Description: Put a patient's pseudonym in the place of 00001 (and a joint, if you like). Reading and prediction stand
-- side by side; reading_percent is empty where nobody has read the joint. Erosions rarely heal: look at the images
-- where a line falls.

SELECT
    timeline.joint,
    timeline.visit_date,
    timeline.reading_percent,
    timeline.reading_grade,
    round(timeline.predicted_percent::numeric, 1) AS predicted_percent,
    round(timeline.predicted_q05::numeric, 1) AS interval_low,
    round(timeline.predicted_q95::numeric, 1) AS interval_high,
    timeline.predicted_grade,
    timeline.image_uri,
    timeline.trained_on_synthetic
FROM analyst.joint_timeline AS timeline
WHERE timeline.patient_id = '00001'
ORDER BY timeline.joint, timeline.visit_date, timeline.sop_iuid;
