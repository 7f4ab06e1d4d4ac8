-- Title: A small registry in a warehouse of the first release
-- Description: At least one row in every table: two models, the second one promoted; four nights; eight patients with
-- three visits and a film of the left hand each, some read, some read twice, one reading withdrawn; what was refused.

INSERT INTO scoring.model_version (
    version, architecture, input_size, preprocessing_version, weights_sha256, manifest, trained_on_synthetic,
    registered_at
)
SELECT
    'model-' || number, 'cdf', 128, 'grey128-v1', encode(sha256(('model ' || number)::bytea), 'hex'),
    jsonb_build_object('metrics', jsonb_build_object('qwk', number / 3.0)), number = 1, timestamptz '2026-01-01 00:00Z'
FROM generate_series(1, 2) AS number;

INSERT INTO scoring.promotion (version, promoted_at, promoted_by, reason)
VALUES
('model-1', '2026-01-02 00:00Z', 'a steward', 'the first'), ('model-2', '2026-01-03 00:00Z', 'a steward', 'a better one');

INSERT INTO scoring.run (
    run_id, batch_date, job, started_at, trigger, triggered_by, code_revision, model_version
)
SELECT
    md5('run ' || place)::uuid, current_date - place, 'nightly_scoring', current_date - place + time '02:00', 'scheduled',
    'schedule', 'abc', 'model-2'
FROM generate_series(1, 4) AS place;

CREATE TEMPORARY TABLE film ON COMMIT DROP AS
SELECT
    patient * 10 + visit AS number,
    '1.2.' || patient || '.' || visit AS sop_iuid,
    to_char(patient, 'FM00000') AS patient_id,
    current_date - 400 * (4 - visit) + patient AS visit_date,
    current_date - (1 + visit) AS batch_date,
    md5('run ' || (1 + visit))::uuid AS run_id,
    visit || '/consultations.csv' AS source_file
FROM generate_series(1, 8) AS patient
CROSS JOIN generate_series(1, 3) AS visit;

INSERT INTO registry.radiograph (sop_iuid, patient_id, visit_date, body_part, batch_date, first_batch_date, run_id)
SELECT sop_iuid, patient_id, visit_date, 'HAND_LEFT', batch_date, batch_date - number % 2, run_id FROM film;

INSERT INTO registry.consultation (
    id_x, patient_id, visit_date, read_on, sop_iuid, body_part, reported_rau, batch_date, first_batch_date, run_id,
    source_file, row_number
)
SELECT
    number || '.' || reader, patient_id, visit_date, visit_date + 30 * reader, sop_iuid, 'HAND_LEFT',
    CASE WHEN number % 3 > 0 THEN number + reader END, batch_date, batch_date, run_id, source_file, 1 + number * reader
FROM film
CROSS JOIN generate_series(1, 2) AS reader
WHERE reader = 1 OR number % 4 = 0;

INSERT INTO registry.joint_reading (
    id_x, joint, sop_iuid, patient_id, erosion_percent, read_on, withdrawn_on, batch_date, first_batch_date, run_id,
    source_file, row_number
)
SELECT
    id_x, 'hand_left_' || finger, sop_iuid, patient_id, (row_number * finger * 5) % 101, read_on,
    CASE WHEN id_x = '11.1' AND finger = 1 THEN batch_date END, batch_date, first_batch_date, run_id, source_file, row_number
FROM registry.consultation
CROSS JOIN generate_series(1, 9) AS finger;

INSERT INTO registry.disease_activity (
    patient_id, visit_date, physician_global, patient_global, das28_esr_reported, das28_crp3_reported, swollen_28,
    tender_28, esr, crp, das28_esr4, das28_esr3, das28_crp4, das28_crp3, batch_date, first_batch_date, run_id,
    source_file, row_number
)
SELECT
    patient_id, visit_date, number, 100 - number, 2 + number / 30.0, 3 + number / 40.0, number % 7, number % 9, number,
    number / 10.0, CASE WHEN number % 2 = 0 THEN 2 + number / 31.0 END, 3, 4, 5, batch_date, batch_date, run_id,
    source_file, 1 + number
FROM film;

INSERT INTO registry.landed_file (source_file, sha256, run_id, published_at)
SELECT DISTINCT source_file, encode(sha256(source_file::bytea), 'hex'), run_id, timestamptz '2026-01-04 00:00Z' FROM film;

INSERT INTO imaging.joint_image (
    sop_iuid, joint, image_sha256, file_name, uri, size_bytes, width, height, color_space, brightness, contrast,
    batch_date, run_id, first_seen_at
)
SELECT
    sop_iuid, 'hand_left_' || finger, encode(sha256((sop_iuid || ' ' || finger)::bytea), 'hex'), finger || '.jpg',
    'landing/' || finger || '.jpg', 4000, 150, 150, 'Gray', 90.5, 30.25, batch_date, run_id,
    timestamptz '2026-01-04 00:00Z'
FROM film
CROSS JOIN generate_series(1, 10) AS finger;

INSERT INTO scoring.joint_prediction (
    image_sha256, model_version, preprocessing_version, sop_iuid, joint, erosion_mean, erosion_median, erosion_q05,
    erosion_q95, ratingen_grade, grade_probability, engine, code_revision, run_id, batch_date, scored_at
)
SELECT
    image_sha256, version, 'grey128-v1', sop_iuid, joint, erosion, erosion, greatest(0, erosion - 5),
    least(100, erosion + 5), ceil(erosion / 20), '{0.5,0.1,0.1,0.1,0.1,0.1}', 'openvino/float32', 'abc', run_id,
    batch_date, timestamptz '2026-01-04 00:00Z'
FROM imaging.joint_image
INNER JOIN scoring.model_version ON TRUE
CROSS JOIN LATERAL (SELECT (abs(hashtext(version || image_sha256)) % 1000) / 10.0 AS erosion);

INSERT INTO scoring.rau_prediction (
    scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version, rau_expected, rau_median, rau_q05,
    rau_q95, rau_from_grades, n_scored, batch_date, first_batch_date, run_id, scored_at
)
SELECT
    scope, patient_id, visit_date, CASE scope WHEN 'film' THEN sop_iuid ELSE '' END, version, 'grey128-v1', number,
    number, number / 2.0, number + 10, number + 1, 10, batch_date, batch_date, run_id, timestamptz '2026-01-04 00:00Z'
FROM film
INNER JOIN scoring.model_version ON TRUE
CROSS JOIN unnest(ARRAY['film', 'visit']) AS scope;

INSERT INTO scoring.quarantine (
    row_key, rule, dataset, record_id, severity, kept, reason, remedy, source_file, row_number, folder_date,
    content_sha256, run_id, quarantined_at, resolved_by_run, resolved_at
)
SELECT
    'image ' || place, 'images.decodes', 'images', NULL, 'critical', FALSE, 'broken', 'mend it', place || '.jpg', 0,
    current_date - place, encode(sha256('broken'), 'hex'), md5('run ' || place)::uuid, timestamptz '2026-01-04 00:00Z',
    CASE WHEN place > 2 THEN md5('run 1')::uuid END, CASE WHEN place > 2 THEN timestamptz '2026-01-05 00:00Z' END
FROM generate_series(1, 4) AS place;

INSERT INTO scoring.run_quarantine (run_id, row_key, rule) SELECT run_id, row_key, rule FROM scoring.quarantine;

INSERT INTO scoring.run_count (run_id, dataset, outcome, rule, n)
SELECT run_id, 'images', outcome, CASE outcome WHEN 'quarantined' THEN 'images.decodes' ELSE '' END, n
FROM scoring.run
CROSS JOIN (VALUES ('landed', 81), ('scored', 80), ('quarantined', 1)) AS line (outcome, n);

INSERT INTO scoring.run_result (run_id, finished_at, status) SELECT run_id, started_at + interval '1 hour', 'succeeded' FROM scoring.run;

INSERT INTO analytics.correlation (
    as_of, model_version, damage, activity, method, estimate, ci_low, ci_high, confidence, n_visits, n_patients, run_id,
    computed_at
)
SELECT
    current_date - 2, 'model-2', damage, 'das28_esr4', method, 0.15, 0.05, 0.25, 0.95, 24, 8, md5('run 2')::uuid,
    timestamptz '2026-01-04 00:00Z'
FROM unnest(ARRAY['reported_rau', 'predicted_rau']) AS damage
CROSS JOIN unnest(ARRAY['pearson', 'kendall']) AS method;
