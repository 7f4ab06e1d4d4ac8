-- Title: Timeline of a patient
-- Description: Everything dated that is known of a patient, one row an event, readable from top to bottom: radiographs,
-- readings of their joints, reported and predicted Rau scores, disease activity. ORDER BY event_date, place. A reading
-- and the score reported with it stand at the date of the reading, or at the visit if that date is not known; it may be
-- decades after the radiograph. A prediction stands at the radiograph's visit, because that is the day it speaks of.
-- Rau of a reading: sum of the grades of its standing joints * 38 / n_joints; below 32 joints an extrapolation.

CREATE VIEW analyst.patient_timeline AS
SELECT
    radiograph.patient_id,
    radiograph.visit_date AS event_date,
    1 AS place,
    'radiograph' AS kind,
    'radiograph ' || coalesce(radiograph.body_part, 'of an unnamed part') AS description,
    NULL::double precision AS points,
    NULL::double precision AS points_q05,
    NULL::double precision AS points_q95,
    NULL::bigint AS n_joints,
    radiograph.sop_iuid,
    NULL AS id_x,
    radiograph.batch_date,
    NULL AS model_version,
    NULL::boolean AS trained_on_synthetic
FROM registry.radiograph
UNION ALL
SELECT
    radiograph.patient_id,
    radiograph.visit_date AS event_date,
    2 AS place,
    'prediction' AS kind,
    format(
        'predicted Rau %s (90 %% from %s to %s), %s joints%s',
        round(radiograph.rau_expected::numeric, 1), round(radiograph.rau_q05::numeric, 1), round(radiograph.rau_q95::numeric, 1),
        radiograph.n_scored, CASE WHEN radiograph.extrapolated THEN ', extrapolated' ELSE '' END
    ) AS description,
    radiograph.rau_expected AS points,
    radiograph.rau_q05 AS points_q05,
    radiograph.rau_q95 AS points_q95,
    radiograph.n_scored AS n_joints,
    radiograph.sop_iuid,
    NULL AS id_x,
    radiograph.batch_date,
    radiograph.model_version,
    radiograph.trained_on_synthetic
FROM analyst.rau_by_radiograph AS radiograph
UNION ALL
SELECT
    visit.patient_id,
    visit.visit_date AS event_date,
    3 AS place,
    'activity' AS kind,
    format('%s %s, %s (%s)', visit.form, round(visit.das28::numeric, 2), visit.activity, visit.origin) AS description,
    visit.das28 AS points,
    NULL AS points_q05,
    NULL AS points_q95,
    NULL AS n_joints,
    NULL AS sop_iuid,
    NULL AS id_x,
    visit.batch_date,
    NULL AS model_version,
    NULL AS trained_on_synthetic
FROM analyst.das28_by_form AS visit
UNION ALL
SELECT
    consultation.patient_id,
    coalesce(consultation.read_on, consultation.visit_date) AS event_date,
    4 AS place,
    'reading' AS kind,
    format(
        '%s joints of the radiograph of %s read, worst grade %s, Rau %s%s',
        reading.n_joints, consultation.visit_date, reading.worst_grade, round(reading.rau, 1),
        CASE WHEN reading.n_joints < 32 THEN ', extrapolated' ELSE '' END
    ) AS description,
    reading.rau AS points,
    NULL AS points_q05,
    NULL AS points_q95,
    reading.n_joints,
    consultation.sop_iuid,
    consultation.id_x,
    consultation.batch_date,
    NULL AS model_version,
    NULL AS trained_on_synthetic
FROM registry.consultation
INNER JOIN LATERAL (
    SELECT
        count(*) AS n_joints,
        max(joint_reading.reading_grade) AS worst_grade,
        sum(joint_reading.reading_grade) * 38.0 / nullif(count(*), 0) AS rau
    FROM registry.joint_reading
    WHERE
        joint_reading.id_x = consultation.id_x
        AND joint_reading.withdrawn_on IS NULL
) AS reading ON reading.n_joints > 0
UNION ALL
SELECT
    consultation.patient_id,
    coalesce(consultation.read_on, consultation.visit_date) AS event_date,
    5 AS place,
    'reported_rau' AS kind,
    format('Rau %s reported for the visit of %s', consultation.reported_rau, consultation.visit_date) AS description,
    consultation.reported_rau AS points,
    NULL AS points_q05,
    NULL AS points_q95,
    NULL AS n_joints,
    consultation.sop_iuid,
    consultation.id_x,
    consultation.batch_date,
    NULL AS model_version,
    NULL AS trained_on_synthetic
FROM registry.consultation
WHERE consultation.reported_rau IS NOT NULL;

COMMENT ON VIEW analyst.patient_timeline IS 'Everything dated that is known of a patient, one row an event; filter by patient_id and order by event_date and place.';
COMMENT ON COLUMN analyst.patient_timeline.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.patient_timeline.event_date IS 'The day the event speaks of: visit of a radiograph, its prediction or a measure of activity; date of a reading and of the score reported with it.';
COMMENT ON COLUMN analyst.patient_timeline.place IS 'Order of the events of one day, 1 to 5.';
COMMENT ON COLUMN analyst.patient_timeline.kind IS 'radiograph, prediction, activity (one row a form of DAS28), reading or reported_rau.';
COMMENT ON COLUMN analyst.patient_timeline.description IS 'The event in words.';
COMMENT ON COLUMN analyst.patient_timeline.points IS 'Rau score in points (prediction, reading, reported_rau) or DAS28 in points (activity); null for a radiograph.';
COMMENT ON COLUMN analyst.patient_timeline.points_q05 IS 'Lower end of a prediction''s 90 % interval, points.';
COMMENT ON COLUMN analyst.patient_timeline.points_q95 IS 'Upper end of a prediction''s 90 % interval, points.';
COMMENT ON COLUMN analyst.patient_timeline.n_joints IS 'Number of joints scored or read.';
COMMENT ON COLUMN analyst.patient_timeline.sop_iuid IS 'The radiograph, if the event is about one.';
COMMENT ON COLUMN analyst.patient_timeline.id_x IS 'The consultation, of a reading or reported score.';
COMMENT ON COLUMN analyst.patient_timeline.batch_date IS 'Newest landing folder, or night, that gave the event''s values.';
COMMENT ON COLUMN analyst.patient_timeline.model_version IS 'The champion, of a prediction.';
COMMENT ON COLUMN analyst.patient_timeline.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
