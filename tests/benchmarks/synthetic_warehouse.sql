-- Title: Synthetic warehouse of any size
-- Description: Fills a migrated, empty warehouse with about `scoring.n_predictions` joint predictions by one champion
-- and everything that belongs to them: ten years of batches with runs and row counts, radiographs, consultations,
-- readings, disease activity, images without files, predictions by a previous model for a twentieth of the radiographs,
-- Rau scores, quarantine and one challenge. All rows are synthetic. The proportions are those of a registry that has
-- radiographs of the left hand for half of its patients, of both hands for a quarter, and of hands, feet and wrists for
-- the rest; a fifth of the radiographs is read. Run it as superuser. The same size gives the same rows on the same day.
--
-- As in a bulk load, keys, foreign keys and indexes of the large tables are dropped first and recreated at the end,
-- which checks every row. No radiograph is moved during the load, so every score is current.

SET LOCAL timezone = 'UTC';
SET LOCAL maintenance_work_mem = '1GB';
SET LOCAL work_mem = '256MB';
SET LOCAL synchronous_commit = off;

CREATE TEMPORARY TABLE dropped (position serial, statement text) ON COMMIT DROP;

ALTER TABLE scoring.rau_prediction DISABLE TRIGGER refresh_after_insert;

DO $$
DECLARE
    large CONSTANT oid[] := ARRAY(
        SELECT oid FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace IN ('registry'::regnamespace, 'imaging'::regnamespace)
            OR oid IN ('scoring.joint_prediction'::regclass, 'scoring.rau_prediction'::regclass)
    );
    found record;
BEGIN
    FOR found IN
        SELECT conrelid::regclass AS of_table, conname, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint
        WHERE contype IN ('p', 'u', 'f') AND conparentid = 0 AND (conrelid = ANY(large) OR confrelid = ANY(large))
        -- Keys are recreated before, and dropped after, the foreign keys that refer to them.
        ORDER BY contype = 'f', conname
    LOOP
        INSERT INTO dropped (statement)
        VALUES (format('ALTER TABLE %s ADD CONSTRAINT %I %s', found.of_table, found.conname, found.definition));
    END LOOP;
    FOR found IN
        SELECT conrelid::regclass AS of_table, conname
        FROM pg_constraint
        WHERE contype IN ('p', 'u', 'f') AND conparentid = 0 AND (conrelid = ANY(large) OR confrelid = ANY(large))
        ORDER BY contype <> 'f', conname
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.of_table, found.conname);
    END LOOP;
    FOR found IN
        SELECT indexrelid::regclass AS of_index, pg_get_indexdef(indexrelid) AS definition
        FROM pg_index
        WHERE indrelid = ANY(large)
        ORDER BY indexrelid
    LOOP
        INSERT INTO dropped (statement) VALUES (found.definition);
        EXECUTE format('DROP INDEX %s', found.of_index);
    END LOOP;
END
$$;

-- A number between 0 and 1 that depends only on its key.
CREATE FUNCTION pg_temp.chance(key text) RETURNS double precision LANGUAGE sql IMMUTABLE
AS $$ SELECT ((hashtextextended(key, 0) & 1048575) + 0.5) / 1048576 $$;

-- A number from the logistic distribution with standard deviation 1.
CREATE FUNCTION pg_temp.draw(key text) RETURNS double precision LANGUAGE sql IMMUTABLE
AS $$ SELECT ln(pg_temp.chance(key) / (1 - pg_temp.chance(key))) * sqrt(3) / pi() $$;

-- Batches and their runs.
CREATE TEMPORARY TABLE folder ON COMMIT DROP AS
SELECT
    day::date AS batch_date,
    md5('run ' || day::date)::uuid AS run_id
FROM generate_series(current_date - 3652, current_date - 1, interval '1 day') AS day;

INSERT INTO scoring.model_version (
    version, architecture, input_size, preprocessing_version, weights_sha256, manifest, trained_on_synthetic
)
SELECT version, 'cdf', 128, 'grey128-v1', encode(sha256(version::bytea), 'hex'), '{}', TRUE
FROM (VALUES ('former-1'), ('champion-1')) AS model (version);

INSERT INTO scoring.run (run_id, batch_date, started_at, trigger, triggered_by, code_revision, model_version)
SELECT run_id, batch_date, batch_date + time '02:00', 'scheduled__' || batch_date, 'schedule', '0123456789ab', 'former-1'
FROM folder;

INSERT INTO scoring.run (run_id, batch_date, job, started_at, trigger, triggered_by, code_revision, model_version)
SELECT md5(job)::uuid, current_date - 1, job, now(), 'cli', 'benchmark', '0123456789ab', model
FROM (VALUES ('rescoring', 'champion-1'), ('retraining', NULL)) AS other (job, model);

INSERT INTO scoring.promotion (version, promoted_at, promoted_by, reason)
VALUES
('former-1', now() - interval '10 years', 'benchmark', 'the first model'),
('champion-1', now() - interval '1 day', 'benchmark', 'a better model');

-- Patients and their visits. Damage increases with disease duration, slightly faster in active disease.
CREATE TEMPORARY TABLE patient ON COMMIT DROP AS
SELECT
    number,
    to_char(number, 'FM00000') AS patient_id,
    pg_temp.draw('severity ' || number) AS severity,
    pg_temp.draw('activity ' || number) AS activity,
    1 + 20 * pg_temp.chance('duration ' || number) AS disease_years,
    (current_date - 3650) + (1825 * pg_temp.chance('entry ' || number))::integer AS entry,
    -- Visits with radiographs.
    4 + floor(13 * pg_temp.chance('visits ' || number))::integer AS n_visits,
    ceil(4 * pg_temp.chance('radiographs ' || number))::integer AS habit
FROM generate_series(1, ceil(current_setting('scoring.n_predictions')::numeric / 170)::integer) AS number;

CREATE TEMPORARY TABLE visit ON COMMIT DROP AS
WITH dated AS (
    SELECT
        patient.*,
        place,
        entry + floor(
            (current_date - 6 - entry)
            * (place + 0.7 * pg_temp.chance(patient_id || ' on ' || place)) / (2 * n_visits - 0.3)
        )::integer AS visit_date,
        -- Every second visit has no radiographs.
        (place + patient.number) % 2 = 0 AS has_radiographs
    FROM patient
    CROSS JOIN generate_series(0, 2 * n_visits - 1) AS place
    -- Visits without radiographs are less frequent.
    WHERE (place + patient.number) % 2 = 0 OR pg_temp.chance(patient_id || ' comes ' || place) < 0.6
)

SELECT
    dated.patient_id,
    dated.severity,
    dated.activity,
    dated.disease_years,
    dated.entry,
    dated.habit,
    dated.place,
    dated.visit_date,
    dated.has_radiographs,
    folder.batch_date,
    folder.run_id,
    row_number() OVER (ORDER BY folder.batch_date, patient_id) AS number
FROM dated
INNER JOIN folder ON folder.batch_date = visit_date + 1 + floor(5 * pg_temp.chance(patient_id || ' arrives ' || place))::integer
ORDER BY folder.batch_date, patient_id;

ANALYZE visit;

CREATE TEMPORARY TABLE xray ON COMMIT DROP AS
SELECT
    row_number() OVER (ORDER BY visit.number, limb.place) AS number,
    '1.2.826.0.1.3680043.2.1125.' || visit.number || '.' || limb.place AS sop_iuid,
    limb.body_part,
    visit.patient_id,
    visit.visit_date,
    visit.batch_date,
    visit.run_id,
    visit.severity + 0.25 * visit.activity AS severity,
    visit.disease_years + (visit.visit_date - visit.entry) / 365.25 AS years
FROM visit
INNER JOIN (VALUES (1, 'HAND_LEFT', 1), (2, 'HAND_RIGHT', 3), (3, 'FOOT_BOTH', 4), (4, 'WRIST_BOTH', 4))
    AS limb (place, body_part, least_habit)
    ON visit.habit >= limb.least_habit
WHERE visit.has_radiographs
ORDER BY visit.number, limb.place;

ANALYZE xray;

INSERT INTO registry.radiograph (sop_iuid, patient_id, visit_date, body_part, batch_date, first_batch_date, run_id)
SELECT sop_iuid, patient_id, visit_date, body_part, batch_date, batch_date, run_id
FROM xray
ORDER BY number;

-- Joint images. A few joints are missing, because they were operated on or are outside the radiograph.
CREATE TEMPORARY TABLE cropped ON COMMIT DROP AS
SELECT
    xray.number AS radiograph_number,
    row_number() OVER (ORDER BY xray.number, part.joint) AS number,
    xray.sop_iuid,
    part.joint,
    encode(sha256((xray.sop_iuid || '_' || part.joint)::bytea), 'hex') AS image_sha256,
    least(100, greatest(
        0,
        exp(-0.16 + 1.1 * xray.severity + 1.25 * pg_temp.draw(xray.patient_id || part.joint)) * xray.years / 8 - 0.6
    )) AS erosion
FROM xray
INNER JOIN (
    SELECT 'HAND_LEFT' AS body_part, 'hand_left_' || finger AS joint FROM generate_series(1, 10) AS finger
    UNION ALL
    SELECT 'HAND_RIGHT', 'hand_right_' || finger FROM generate_series(1, 10) AS finger
    UNION ALL
    SELECT 'FOOT_BOTH', 'foot_' || side || '_' || toe
    FROM generate_series(1, 5) AS toe
    CROSS JOIN unnest(ARRAY['left', 'right']) AS side
    UNION ALL
    SELECT 'WRIST_BOTH', 'wrist_' || side FROM unnest(ARRAY['left', 'right']) AS side
) AS part ON xray.body_part = part.body_part
WHERE pg_temp.chance(xray.patient_id || ' is missing ' || part.joint) > 0.03
ORDER BY xray.number, part.joint;

ANALYZE cropped;

INSERT INTO imaging.joint_image (
    sop_iuid, joint, image_sha256, file_name, uri, size_bytes, width, height, color_space, brightness, contrast,
    batch_date, run_id
)
SELECT
    sop_iuid, cropped.joint, cropped.image_sha256, sop_iuid || '_' || cropped.joint || '.jpg',
    'landing/' || xray.batch_date || '/joints/' || sop_iuid || '_' || cropped.joint || '.jpg',
    4000, 150, 150, 'Gray', 90, 30, xray.batch_date, xray.run_id
FROM cropped
INNER JOIN xray USING (sop_iuid)
ORDER BY cropped.number;

-- Consultations. A fifth of the radiographs is read, and a twentieth of these by a second reader.
INSERT INTO registry.consultation (
    id_x, patient_id, visit_date, read_on, sop_iuid, body_part, reported_rau, batch_date, first_batch_date, run_id,
    source_file, row_number
)
SELECT
    xray.number || '.' || reader, xray.patient_id, xray.visit_date,
    CASE WHEN is_read THEN least(xray.visit_date + 30 * reader, current_date - 1) END,
    xray.sop_iuid, xray.body_part,
    CASE WHEN is_read THEN round(least(190, greatest(0, read_as.rau + 2 * pg_temp.draw(xray.sop_iuid || reader)))) END,
    xray.batch_date, xray.batch_date, xray.run_id,
    xray.batch_date || '/consultations.csv',
    2 + row_number() OVER (PARTITION BY xray.batch_date ORDER BY xray.number)
FROM xray
CROSS JOIN generate_series(1, 2) AS reader
CROSS JOIN LATERAL (SELECT pg_temp.chance('read ' || xray.sop_iuid) < CASE reader WHEN 1 THEN 0.2 ELSE 0.01 END AS is_read)
INNER JOIN (
    SELECT radiograph_number, sum(ceil(erosion / 20)) * 38 / count(*) AS rau FROM cropped GROUP BY radiograph_number
) AS read_as ON xray.number = read_as.radiograph_number
WHERE reader = 1 OR is_read
ORDER BY xray.number, reader;

ANALYZE registry.consultation;

INSERT INTO registry.joint_reading (
    id_x, joint, sop_iuid, patient_id, reading_percent, read_on, batch_date, first_batch_date, run_id, source_file,
    row_number
)
SELECT
    consultation.id_x, cropped.joint, cropped.sop_iuid, consultation.patient_id,
    -- Readers record steps of five percent.
    least(100, greatest(0, 5 * round(cropped.erosion * exp(0.3 * pg_temp.draw(consultation.id_x || cropped.joint)) / 5))),
    consultation.read_on, consultation.batch_date, consultation.batch_date, consultation.run_id,
    consultation.source_file, consultation.row_number
FROM registry.consultation
INNER JOIN cropped ON consultation.sop_iuid = cropped.sop_iuid
WHERE consultation.read_on IS NOT NULL
ORDER BY cropped.number;

-- Disease activity for nine in ten visits. DAS28 by the formulas of scoring/clinical/das28.py; a quarter of the visits
-- has reported scores only.
INSERT INTO registry.disease_activity (
    patient_id, visit_date, physician_global, patient_global, das28_esr_reported, das28_crp3_reported, swollen_28,
    tender_28, esr, crp, das28_esr4, das28_esr3, das28_crp4, das28_crp3, batch_date, first_batch_date, run_id,
    source_file, row_number
)
WITH measured AS (
    SELECT
        visit.*,
        -- Activity varies around a level of the patient.
        0.7 * activity + 0.7 * pg_temp.draw(patient_id || ' flares ' || place) AS flare,
        pg_temp.chance(patient_id || ' components ' || place) > 0.25 AS complete
    FROM visit
    WHERE pg_temp.chance(patient_id || ' measured ' || place) < 0.9
),

component AS (
    SELECT
        measured.*,
        least(100, greatest(0, round((30 + 15 * flare + 8 * pg_temp.draw(patient_id || ' pg ' || place))::numeric))) AS physician,
        least(100, greatest(0, round((35 + 15 * flare + 12 * pg_temp.draw(patient_id || ' gh ' || place))::numeric))) AS global,
        least(28, floor(exp(0.8 + 0.6 * flare))) AS swollen,
        least(28, floor(exp(1.0 + 0.6 * flare + 0.4 * pg_temp.draw(patient_id || ' tender ' || place)))) AS tender,
        least(120, greatest(1, round(exp(2.7 + 0.5 * flare)::numeric))) AS esr_mm,
        least(300, round(exp(1.5 + 0.7 * flare)::numeric, 1)) AS crp_mg
    FROM measured
),

joints AS (
    SELECT
        component.*,
        0.56 * sqrt(tender) + 0.28 * sqrt(swollen) AS joint_part
    FROM component
)

SELECT
    patient_id, visit_date, physician, global,
    round((joint_part + 0.70 * ln(esr_mm) + 0.014 * global)::numeric, 2),
    round(((joint_part + 0.36 * ln(crp_mg + 1)) * 1.10 + 1.15)::numeric, 2),
    CASE WHEN complete THEN swollen END, CASE WHEN complete THEN tender END,
    CASE WHEN complete THEN esr_mm END, CASE WHEN complete THEN crp_mg END,
    CASE WHEN complete THEN joint_part + 0.70 * ln(esr_mm) + 0.014 * global END,
    CASE WHEN complete THEN (joint_part + 0.70 * ln(esr_mm)) * 1.08 + 0.16 END,
    CASE WHEN complete THEN joint_part + 0.36 * ln(crp_mg + 1) + 0.014 * global + 0.96 END,
    CASE WHEN complete THEN (joint_part + 0.36 * ln(crp_mg + 1)) * 1.10 + 1.15 END,
    batch_date, batch_date, run_id, batch_date || '/disease_activity.csv',
    2 + row_number() OVER (PARTITION BY batch_date ORDER BY number)
FROM joints
ORDER BY number;

INSERT INTO registry.landing_file (source_file, sha256, run_id)
SELECT
    source_file,
    encode(sha256(source_file::bytea), 'hex'),
    md5('run ' || split_part(source_file, '/', 1))::uuid
FROM (
    SELECT source_file FROM registry.consultation
    UNION
    SELECT source_file FROM registry.disease_activity
) AS received
ORDER BY source_file;

-- Predictions. The champion rescored the history except for a few missing images. The previous model has predictions
-- for every twentieth radiograph.
CREATE TEMPORARY TABLE grade_profile ON COMMIT DROP AS
SELECT
    grade::smallint,
    probability::real[],
    (SELECT sum(p * (place - 1)) FROM unnest(probability::real[]) WITH ORDINALITY AS each (p, place)) AS expected,
    (
        SELECT sum(p * (place - 1) ^ 2) - sum(p * (place - 1)) ^ 2
        FROM unnest(probability::real[]) WITH ORDINALITY AS each (p, place)
    ) AS variance
FROM (
    VALUES
    (0, '{0.9,0.1,0,0,0,0}'), (1, '{0.1,0.8,0.1,0,0,0}'), (2, '{0,0.15,0.7,0.15,0,0}'), (3, '{0,0,0.15,0.7,0.15,0}'),
    (4, '{0,0,0,0.15,0.7,0.15}'), (5, '{0,0,0,0,0.1,0.9}')
) AS each_grade (grade, probability);

INSERT INTO scoring.joint_prediction (
    image_sha256, model_version, preprocessing_version, sop_iuid, joint, predicted_percent, predicted_median,
    predicted_q05, predicted_q95, predicted_grade, grade_probability, engine, code_revision, run_id, batch_date
)
WITH guess AS (
    SELECT
        cropped.*,
        model.version,
        least(100, cropped.erosion * model.scale * exp(0.3 * pg_temp.draw(model.version || cropped.image_sha256)) + 0.5)::real AS mean
    FROM cropped
    INNER JOIN (VALUES ('champion-1', 1.0), ('former-1', 0.9)) AS model (version, scale)
        ON CASE model.version WHEN 'champion-1' THEN cropped.number % 5000 > 0 ELSE cropped.radiograph_number % 20 = 0 END
)

SELECT
    guess.image_sha256, guess.version, 'grey128-v1', guess.sop_iuid, guess.joint, mean, mean,
    greatest(0, 0.7 * mean - 2), least(100, 1.3 * mean + 2), grade, probability, 'openvino/float32', '0123456789ab',
    xray.run_id, xray.batch_date
FROM guess
INNER JOIN xray ON guess.radiograph_number = xray.number
INNER JOIN grade_profile ON grade = CASE WHEN mean < 1 THEN 0 ELSE least(5, ceil(mean / 20)) END
ORDER BY guess.number;

ANALYZE scoring.joint_prediction;

INSERT INTO scoring.rau_prediction (
    scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version, rau_expected, rau_median, rau_q05,
    rau_q95, rau_from_grades, n_scored, batch_date, first_batch_date, run_id
)
WITH summed AS (
    SELECT
        xray.patient_id,
        xray.visit_date,
        xray.batch_date,
        xray.run_id,
        CASE WHEN grouping(xray.sop_iuid) = 0 THEN xray.sop_iuid ELSE '' END AS sop_iuid,
        prediction.model_version,
        count(*) AS n,
        sum(grade_profile.expected) * 38 / count(*) AS expected,
        sum(prediction.predicted_grade) * 38.0 / count(*) AS from_grades,
        1.645 * sqrt(sum(grade_profile.variance)) * 38 / count(*) AS half
    FROM scoring.joint_prediction AS prediction
    INNER JOIN xray USING (sop_iuid)
    INNER JOIN grade_profile ON prediction.predicted_grade = grade_profile.grade
    GROUP BY
        xray.patient_id, xray.visit_date, xray.batch_date, xray.run_id, prediction.model_version,
        GROUPING SETS ((xray.sop_iuid), ())
)

SELECT
    CASE sop_iuid WHEN '' THEN 'visit' ELSE 'radiograph' END, patient_id, visit_date, sop_iuid, model_version, 'grey128-v1',
    expected, expected, greatest(0, expected - half), least(190, expected + half), from_grades, n, batch_date,
    batch_date, run_id
FROM summed
ORDER BY batch_date, patient_id, sop_iuid;

-- Quarantine: one image in 200; the entries of the last month are open.
INSERT INTO scoring.quarantine (
    row_key, rule, dataset, record_id, severity, kept, reason, remedy, source_file, row_number, batch_date,
    content_sha256, run_id, resolved_by_run, resolved_at
)
SELECT
    source_file, 'images.decodes', 'images', NULL, 'critical', FALSE, 'The image cannot be decoded.',
    'Ask the extractor to write the file again.', source_file, 0, folder.batch_date, encode(sha256(source_file::bytea), 'hex'),
    folder.run_id, resolved.by_run, resolved.at
FROM folder
LEFT JOIN (SELECT batch_date, count(*) AS n FROM imaging.joint_image GROUP BY batch_date) AS accepted USING (batch_date)
-- At least one in the last batch, because the example query asks for it.
CROSS JOIN LATERAL generate_series(1, greatest(ceil(accepted.n / 200.0), (folder.batch_date = current_date - 1)::integer)::integer) AS number
CROSS JOIN LATERAL (SELECT folder.batch_date || '/joints/broken_' || number || '.jpg' AS source_file)
LEFT JOIN LATERAL (
    SELECT folder.run_id AS by_run, now() AS at WHERE folder.batch_date < current_date - 30
) AS resolved ON TRUE;

INSERT INTO scoring.run_quarantine (run_id, row_key, rule)
SELECT run_id, row_key, rule FROM scoring.quarantine;

-- Row counts of the runs.
INSERT INTO scoring.run_count (run_id, dataset, outcome, rule, n)
WITH accepted AS (
    SELECT run_id, 'consultations' AS dataset, 'new' AS outcome, '' AS rule FROM registry.consultation
    UNION ALL
    SELECT run_id, 'readings', 'new', '' FROM registry.joint_reading
    UNION ALL
    SELECT run_id, 'disease_activity', 'new', '' FROM registry.disease_activity
    UNION ALL
    SELECT run_id, 'images', 'scored', '' FROM imaging.joint_image
    UNION ALL
    SELECT run_id, 'images', 'quarantined', rule FROM scoring.quarantine
)

SELECT run_id, dataset, coalesce(outcome, 'received'), coalesce(rule, ''), count(*)
FROM accepted
GROUP BY GROUPING SETS ((run_id, dataset, outcome, rule), (run_id, dataset));

INSERT INTO scoring.run_result (run_id, finished_at, status)
SELECT run_id, started_at + interval '1 hour', 'succeeded' FROM scoring.run;

-- The rescoring, for which some images were missing.
INSERT INTO scoring.rescoring_rejection (run_id, image_sha256, reason)
SELECT md5('rescoring')::uuid, image_sha256, 'The file is missing.' FROM cropped WHERE number % 5000 = 0;

INSERT INTO scoring.run_count (run_id, dataset, outcome, n)
SELECT
    md5('rescoring')::uuid, 'images', outcome, count(*) FILTER (WHERE outcome = 'planned' OR (number % 5000 = 0) = (outcome = 'rejected'))
FROM cropped
CROSS JOIN unnest(ARRAY['planned', 'scored', 'rejected']) AS outcome
GROUP BY outcome;

INSERT INTO scoring.activation (promotion_id, activated_at, run_id, n_missing)
SELECT
    promotion_id, promoted_at,
    CASE version WHEN 'champion-1' THEN md5('rescoring')::uuid END,
    CASE version WHEN 'champion-1' THEN (SELECT count(*) FROM scoring.rescoring_rejection) ELSE 0 END
FROM scoring.promotion
ORDER BY promotion_id;

INSERT INTO scoring.training_snapshot (
    run_id, snapshot_sha256, cut_off, preprocessing_version, n_joints, n_patients, joints_by_grade, excluded,
    n_discordant, synthetic
)
SELECT
    md5('retraining')::uuid, encode(sha256('snapshot'), 'hex'), current_date - 1, 'grey128-v1', count(*),
    count(DISTINCT patient_id),
    ARRAY(SELECT count(*) FILTER (WHERE reading_grade = grade) FROM generate_series(0, 5) AS grade, registry.joint_reading GROUP BY grade ORDER BY grade),
    '{}', 0, TRUE
FROM registry.joint_reading;

INSERT INTO scoring.challenge (
    run_id, snapshot_sha256, champion, challenger, metric, champion_value, challenger_value, difference,
    difference_low, difference_high, n_joints, n_patients, subgroups, candidates, proposed, reasons
)
SELECT
    run_id, snapshot_sha256, 'former-1', 'champion-1', 'accuracy_and_kappa', 0.5, 0.6, 0.1, 0.05, 0.15, n_joints,
    n_patients, '{}', '{}', TRUE, ARRAY['synthetic']
FROM scoring.training_snapshot;

INSERT INTO scoring.challenge_decision (challenge_id, decision, decided_by, reason)
SELECT challenge_id, 'promoted', 'benchmark', 'synthetic' FROM scoring.challenge;

DO $$
DECLARE
    wanted text;
BEGIN
    FOR wanted IN SELECT statement FROM dropped ORDER BY position LOOP
        EXECUTE wanted;
    END LOOP;
END
$$;

ALTER TABLE scoring.rau_prediction ENABLE TRIGGER refresh_after_insert;

-- Corrections: one value of each visit of one patient, delivered by the next batch.
UPDATE registry.disease_activity
SET
    patient_global = 100 - patient_global,
    batch_date = batch_date + 1
WHERE patient_id = (SELECT min(patient_id) FROM registry.disease_activity);
