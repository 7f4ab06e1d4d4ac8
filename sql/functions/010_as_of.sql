-- Title: Registry records and scores as of a date
-- Description: Each function reconstructs the state of the data as of a batch: records that had been delivered by then,
-- with the values known then. Values that a later batch replaced are taken from registry.correction, so a backfilled
-- result equals the one that would have been computed on that day. Predicted scores are an exception: the score of a
-- visit that received more radiographs later has its current value.
-- All functions are plain SQL without settings, so that the planner inlines them.

DROP FUNCTION IF EXISTS registry.consultation_as_of(date);
DROP FUNCTION IF EXISTS registry.disease_activity_as_of(date);
DROP FUNCTION IF EXISTS registry.values_as_of(text, date);
DROP FUNCTION IF EXISTS analytics.reported_rau_as_of(date);
DROP FUNCTION IF EXISTS analytics.predicted_rau_as_of(date, text);
DROP FUNCTION IF EXISTS analytics.activity_as_of(date);

-- jsonb_object_agg keeps the last of equal keys: the value replaced by the first correction after the date.
CREATE FUNCTION registry.values_as_of(table_name text, as_of date)
RETURNS TABLE (record_key text[], old_values jsonb)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
SELECT
    correction.record_key,
    jsonb_object_agg(
        old_value.key, old_value.value ORDER BY correction.new_batch_date DESC, correction.correction_id DESC
    )
FROM registry.correction
CROSS JOIN LATERAL jsonb_each(correction.old_values) AS old_value
WHERE correction.dataset = table_name AND correction.new_batch_date > as_of
GROUP BY correction.record_key
$$;

COMMENT ON FUNCTION registry.values_as_of(text, date) IS 'Values of a registry table that were replaced after a batch: one row per corrected record, with the columns that differ from the table.';

CREATE FUNCTION registry.consultation_as_of(as_of date)
RETURNS SETOF registry.consultation
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
WITH corrected AS (
    SELECT later.record_key, later.old_values FROM registry.values_as_of('consultation', as_of) AS later
)

SELECT record.*
FROM registry.consultation AS record
LEFT JOIN corrected ON corrected.record_key = ARRAY[record.id_x]
WHERE record.first_batch_date <= as_of AND corrected.record_key IS NULL
UNION ALL
SELECT former.*
FROM registry.consultation AS record
INNER JOIN corrected ON corrected.record_key = ARRAY[record.id_x]
CROSS JOIN LATERAL jsonb_populate_record(record, corrected.old_values) AS former
WHERE record.first_batch_date <= as_of
$$;

COMMENT ON FUNCTION registry.consultation_as_of(date) IS 'Rows of registry.consultation as of a batch.';

CREATE FUNCTION registry.disease_activity_as_of(as_of date)
RETURNS SETOF registry.disease_activity
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
WITH corrected AS (
    SELECT later.record_key, later.old_values FROM registry.values_as_of('disease_activity', as_of) AS later
)

SELECT record.*
FROM registry.disease_activity AS record
LEFT JOIN corrected ON corrected.record_key = ARRAY[record.patient_id, record.visit_date::text]
WHERE record.first_batch_date <= as_of AND corrected.record_key IS NULL
UNION ALL
SELECT former.*
FROM registry.disease_activity AS record
INNER JOIN corrected ON corrected.record_key = ARRAY[record.patient_id, record.visit_date::text]
CROSS JOIN LATERAL jsonb_populate_record(record, corrected.old_values) AS former
WHERE record.first_batch_date <= as_of
$$;

COMMENT ON FUNCTION registry.disease_activity_as_of(date) IS 'Rows of registry.disease_activity as of a batch.';

-- One row per visit, because a visit with two consultations would count twice. The latest reading applies, as in
-- analyst.rau_by_visit.
CREATE FUNCTION analytics.reported_rau_as_of(as_of date)
RETURNS TABLE (patient_id text, visit_date date, reported_rau double precision)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
SELECT DISTINCT ON (consultation.patient_id, consultation.visit_date)
    consultation.patient_id, consultation.visit_date, consultation.reported_rau
FROM registry.consultation_as_of(as_of) AS consultation
WHERE consultation.reported_rau IS NOT NULL
ORDER BY
    consultation.patient_id, consultation.visit_date, consultation.read_on DESC NULLS LAST, consultation.id_x DESC
$$;

COMMENT ON FUNCTION analytics.reported_rau_as_of(date) IS 'Reported Rau score (0-190 points) of each visit as of a batch.';

CREATE FUNCTION analytics.predicted_rau_as_of(as_of date, model text)
RETURNS TABLE (
    patient_id text,
    visit_date date,
    predicted_rau double precision,
    rau_q05 double precision,
    rau_q95 double precision,
    n_scored smallint
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
SELECT score.patient_id, score.visit_date, score.rau_expected, score.rau_q05, score.rau_q95, score.n_scored
FROM scoring.rau_prediction AS score
INNER JOIN scoring.model_version AS scorer
    ON scorer.version = score.model_version AND scorer.preprocessing_version = score.preprocessing_version
WHERE
    score.scope = 'visit'
    AND score.is_current
    AND score.model_version = model
    AND score.first_batch_date <= as_of
$$;

COMMENT ON FUNCTION analytics.predicted_rau_as_of(date, text) IS 'Rau score (0-190 points) predicted by a model for each visit, with the ends of its 90 % interval and the number of scored joints, as of a batch.';

-- A computed DAS28 takes precedence over a reported one, because its form is certain.
CREATE FUNCTION analytics.activity_as_of(as_of date)
RETURNS TABLE (
    patient_id text,
    visit_date date,
    das28_esr4 double precision,
    das28_esr3 double precision,
    das28_crp4 double precision,
    das28_crp3 double precision,
    physician_global double precision,
    patient_global double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
SELECT
    activity.patient_id, activity.visit_date,
    coalesce(activity.das28_esr4, activity.das28_esr_reported),
    activity.das28_esr3, activity.das28_crp4,
    coalesce(activity.das28_crp3, activity.das28_crp3_reported),
    activity.physician_global, activity.patient_global
FROM registry.disease_activity_as_of(as_of) AS activity
$$;

COMMENT ON FUNCTION analytics.activity_as_of(date) IS 'Disease activity of each visit as of a batch: the four forms of DAS28, and the global assessments in mm.';
