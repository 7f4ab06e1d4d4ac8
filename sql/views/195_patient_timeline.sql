-- Title: Timeline of a patient
-- Description: All dated records of a patient: radiographs, predictions, disease activity, readings and reported Rau
-- scores. ORDER BY event_date, event_order. Readings and reported scores have the date of the reading, which may be
-- decades after the radiograph, or the date of the visit if that is unknown. Predictions have the date of the
-- radiograph. Rau score of a reading: sum of the grades of its current joint readings * 38 / n_joints; with fewer than
-- 32 joints it is an extrapolation.

CREATE VIEW analyst.patient_timeline AS
SELECT
    radiograph.patient_id,
    radiograph.visit_date AS event_date, 1 AS event_order, 'radiograph' AS event_type,
    'radiograph ' || coalesce(radiograph.body_part, 'of an unknown body part') AS description,
    NULL::double precision AS points,
    NULL::double precision AS points_q05, NULL::double precision AS points_q95,
    NULL::bigint AS n_joints, radiograph.sop_iuid, NULL AS id_x,
    radiograph.batch_date, NULL AS model_version, NULL::boolean AS trained_on_synthetic
FROM registry.radiograph
UNION ALL
SELECT
    score.patient_id,
    score.visit_date AS event_date, 2 AS event_order, 'prediction' AS event_type,
    format(
        'predicted Rau score %s (90 %% interval %s to %s), %s joints%s',
        round(score.rau_expected::numeric, 1), round(score.rau_q05::numeric, 1), round(score.rau_q95::numeric, 1),
        score.n_scored, CASE WHEN score.extrapolated THEN ', extrapolated' ELSE '' END
    ) AS description,
    score.rau_expected AS points, score.rau_q05 AS points_q05, score.rau_q95 AS points_q95,
    score.n_scored AS n_joints, score.sop_iuid, NULL AS id_x,
    score.batch_date, score.model_version, score.trained_on_synthetic
FROM analyst.rau_by_radiograph AS score
UNION ALL
SELECT
    visit.patient_id,
    visit.visit_date AS event_date, 3 AS event_order, 'activity' AS event_type,
    format(
        '%s %s, %s (%s)', visit.activity, round(visit.das28::numeric, 2), visit.activity_class, visit.origin
    ) AS description,
    visit.das28 AS points, NULL AS points_q05, NULL AS points_q95,
    NULL AS n_joints, NULL AS sop_iuid, NULL AS id_x,
    visit.batch_date, NULL AS model_version, NULL AS trained_on_synthetic
FROM analyst.das28_by_form AS visit
UNION ALL
SELECT
    consultation.patient_id,
    coalesce(consultation.read_on, consultation.visit_date) AS event_date,
    4 AS event_order, 'reading' AS event_type,
    format(
        '%s joints read on the radiograph of %s, worst grade %s, Rau score %s%s',
        reading.n_joints, consultation.visit_date, reading.worst_grade, round(reading.rau, 1),
        CASE WHEN reading.n_joints < 32 THEN ', extrapolated' ELSE '' END
    ) AS description,
    reading.rau AS points, NULL AS points_q05, NULL AS points_q95,
    reading.n_joints, consultation.sop_iuid, consultation.id_x,
    consultation.batch_date, NULL AS model_version, NULL AS trained_on_synthetic
FROM registry.consultation
INNER JOIN LATERAL (
    SELECT
        count(*) AS n_joints,
        max(joint_reading.reading_grade) AS worst_grade,
        sum(joint_reading.reading_grade) * 38.0 / nullif(count(*), 0) AS rau
    FROM registry.joint_reading
    WHERE joint_reading.id_x = consultation.id_x AND joint_reading.withdrawn_on IS NULL
) AS reading ON reading.n_joints > 0
UNION ALL
SELECT
    consultation.patient_id,
    coalesce(consultation.read_on, consultation.visit_date) AS event_date,
    5 AS event_order, 'reported_rau' AS event_type,
    format(
        'Rau score %s reported for the visit on %s', consultation.reported_rau, consultation.visit_date
    ) AS description,
    consultation.reported_rau AS points, NULL AS points_q05, NULL AS points_q95,
    NULL AS n_joints, consultation.sop_iuid, consultation.id_x,
    consultation.batch_date, NULL AS model_version, NULL AS trained_on_synthetic
FROM registry.consultation
WHERE consultation.reported_rau IS NOT NULL;

COMMENT ON VIEW analyst.patient_timeline IS 'All dated records of a patient: one row per event. Filter by patient_id and order by event_date and event_order.';
COMMENT ON COLUMN analyst.patient_timeline.event_date IS 'Date of the visit (radiograph, prediction, activity) or of the reading (reading, reported score).';
COMMENT ON COLUMN analyst.patient_timeline.event_order IS 'Order of events on the same day, 1 to 5.';
COMMENT ON COLUMN analyst.patient_timeline.event_type IS 'radiograph, prediction, activity (one row per form of DAS28), reading or reported_rau.';
COMMENT ON COLUMN analyst.patient_timeline.description IS 'Description of the event.';
COMMENT ON COLUMN analyst.patient_timeline.points IS 'Rau score in points (prediction, reading, reported_rau) or DAS28 in points (activity); null for a radiograph.';
COMMENT ON COLUMN analyst.patient_timeline.points_q05 IS 'Lower end of the 90 % interval of a prediction, points.';
COMMENT ON COLUMN analyst.patient_timeline.points_q95 IS 'Upper end of the 90 % interval of a prediction, points.';
COMMENT ON COLUMN analyst.patient_timeline.n_joints IS 'Number of scored or read joints.';
COMMENT ON COLUMN analyst.patient_timeline.sop_iuid IS 'SOP instance UID of the radiograph, if the event concerns one.';
COMMENT ON COLUMN analyst.patient_timeline.id_x IS 'Consultation of a reading or reported score.';
