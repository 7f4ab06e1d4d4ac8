-- Title: Registry records
-- Description: Accepted records of the registry. Each row names the newest batch that delivered its values
-- (batch_date), the first batch that contained the record (first_batch_date), its file and line, and the run that wrote
-- it. The tables hold the newest values. Triggers copy the values that an update replaces to registry.correction.
--
-- Ratingen grade of a joint: eroded share of the joint surface, in steps of 20 percent. The grades of 38 joints add up
-- to the Rau score, 0-190 points.
--   Rau R, Wassenberg S, Herborn G, Stucki G, Gebler A. J Rheumatol 1998;25:2094-2107.
-- DAS28: 28 joints (tender and swollen), ESR or CRP, with or without the patient's global assessment. The four forms
-- are not interchangeable. https://www.das-score.nl, "alternative validated formulae".

CREATE TABLE registry.radiograph (
    sop_iuid text PRIMARY KEY CHECK (sop_iuid <> ''),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    body_part text,
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    UNIQUE (sop_iuid, patient_id),
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX radiograph_by_visit ON registry.radiograph (patient_id, visit_date);

-- Lets the planner estimate the number of radiographs per year (analyst.agreement).
CREATE STATISTICS registry.radiograph_by_year ON (extract(YEAR FROM visit_date)::integer) FROM registry.radiograph;

COMMENT ON TABLE registry.radiograph IS 'Radiographs, derived from the consultations that name them.';
COMMENT ON COLUMN registry.radiograph.sop_iuid IS 'DICOM SOP instance UID of the radiograph, or the pseudonym that the registry uses instead.';
COMMENT ON COLUMN registry.radiograph.patient_id IS 'Patient pseudonym from the registry; text, so that leading zeros are kept.';
COMMENT ON COLUMN registry.radiograph.visit_date IS 'Date of the visit at which the radiograph was taken (date_x), as given by the latest reading in the newest batch.';
COMMENT ON COLUMN registry.radiograph.body_part IS 'Body part as named by the registry, such as HAND_LEFT.';
COMMENT ON COLUMN registry.radiograph.batch_date IS 'Newest batch that delivered these values.';
COMMENT ON COLUMN registry.radiograph.first_batch_date IS 'First batch that contained this radiograph.';
COMMENT ON COLUMN registry.radiograph.run_id IS 'Run that last changed the row.';

CREATE TABLE registry.consultation (
    id_x text PRIMARY KEY CHECK (id_x <> ''),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    read_on date,
    sop_iuid text,
    body_part text,
    reported_rau double precision CHECK (reported_rau BETWEEN 0 AND 190),
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    source_file text NOT NULL,
    row_number integer NOT NULL,
    -- If the registry assigns a radiograph to another patient, its consultations and readings follow.
    FOREIGN KEY (sop_iuid, patient_id) REFERENCES registry.radiograph (sop_iuid, patient_id) ON UPDATE CASCADE,
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX consultation_by_visit ON registry.consultation (patient_id, visit_date);
CREATE INDEX consultation_by_radiograph ON registry.consultation (sop_iuid);
CREATE INDEX consultation_by_first_batch ON registry.consultation (first_batch_date);

-- Answers "latest reported score of a visit" (analyst.rau_by_visit) from the index alone.
CREATE INDEX consultation_by_reported
ON registry.consultation (patient_id, visit_date, read_on DESC NULLS LAST, id_x DESC)
INCLUDE (reported_rau)
WHERE reported_rau IS NOT NULL;

COMMENT ON TABLE registry.consultation IS 'Consultations: one row per line of consultations.csv, without the joint readings.';
COMMENT ON COLUMN registry.consultation.id_x IS 'Registry key of the consultation.';
COMMENT ON COLUMN registry.consultation.patient_id IS 'Patient pseudonym from the registry; text, so that leading zeros are kept.';
COMMENT ON COLUMN registry.consultation.visit_date IS 'Date of the visit (date_x); if the consultation names a radiograph, the date of that radiograph.';
COMMENT ON COLUMN registry.consultation.read_on IS 'Date on which the radiograph was read (date_y); may be decades after the visit.';
COMMENT ON COLUMN registry.consultation.sop_iuid IS 'SOP instance UID of the radiograph that was read.';
COMMENT ON COLUMN registry.consultation.body_part IS 'Body part as named by the registry.';
COMMENT ON COLUMN registry.consultation.reported_rau IS 'Rau score reported by the registry (rau_score), 0-190 points; null if none was reported.';
COMMENT ON COLUMN registry.consultation.batch_date IS 'Newest batch that delivered these values.';
COMMENT ON COLUMN registry.consultation.first_batch_date IS 'First batch that contained this consultation.';
COMMENT ON COLUMN registry.consultation.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN registry.consultation.source_file IS 'Source file, relative to the landing zone.';
COMMENT ON COLUMN registry.consultation.row_number IS 'Line of the file; the header is line 1.';

CREATE TABLE registry.joint_reading (
    id_x text NOT NULL REFERENCES registry.consultation (id_x),
    joint text NOT NULL CHECK (joint <> ''),
    sop_iuid text,
    patient_id text NOT NULL CHECK (patient_id <> ''),
    reading_percent double precision NOT NULL CHECK (reading_percent BETWEEN 0 AND 100),
    -- The definition of scoring.clinical.ratingen.grade. Predicted grades follow the read-out rule of their model
    -- instead.
    reading_grade smallint GENERATED ALWAYS AS (
        CASE
            WHEN reading_percent = 0 THEN 0
            WHEN reading_percent <= 20 THEN 1
            WHEN reading_percent <= 40 THEN 2
            WHEN reading_percent <= 60 THEN 3
            WHEN reading_percent <= 80 THEN 4
            ELSE 5
        END
    ) STORED,
    read_on date,
    withdrawn_on date,
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    source_file text NOT NULL,
    row_number integer NOT NULL,
    PRIMARY KEY (id_x, joint),
    FOREIGN KEY (sop_iuid, patient_id) REFERENCES registry.radiograph (sop_iuid, patient_id) ON UPDATE CASCADE,
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX joint_reading_by_radiograph ON registry.joint_reading (sop_iuid, joint);

COMMENT ON TABLE registry.joint_reading IS 'Human readings in long form: one row per consultation and joint.';
COMMENT ON COLUMN registry.joint_reading.id_x IS 'Consultation in which the joint was read.';
COMMENT ON COLUMN registry.joint_reading.joint IS 'Joint, named after its registry column: hand_left_1 (PIP5) to foot_right_5 (IP1), wrist_left, wrist_right.';
COMMENT ON COLUMN registry.joint_reading.sop_iuid IS 'SOP instance UID of the radiograph.';
COMMENT ON COLUMN registry.joint_reading.patient_id IS 'Patient pseudonym from the registry.';
COMMENT ON COLUMN registry.joint_reading.reading_percent IS 'Eroded share of the joint surface as read, in percent.';
COMMENT ON COLUMN registry.joint_reading.reading_grade IS 'Ratingen grade of the reading, 0-5.';
COMMENT ON COLUMN registry.joint_reading.read_on IS 'Date on which the radiograph was read.';
COMMENT ON COLUMN registry.joint_reading.withdrawn_on IS 'First batch in which the consultation no longer contained this reading; null if the reading is current. Exclude withdrawn readings from analyses.';
COMMENT ON COLUMN registry.joint_reading.batch_date IS 'Newest batch that delivered these values.';
COMMENT ON COLUMN registry.joint_reading.first_batch_date IS 'First batch that contained this reading.';
COMMENT ON COLUMN registry.joint_reading.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN registry.joint_reading.source_file IS 'Source file, relative to the landing zone.';
COMMENT ON COLUMN registry.joint_reading.row_number IS 'Line of the file; the header is line 1.';

-- The upper bounds are those of the formulas in scoring/clinical/das28.py.
CREATE TABLE registry.disease_activity (
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    physician_global double precision CHECK (physician_global BETWEEN 0 AND 100),
    patient_global double precision CHECK (patient_global BETWEEN 0 AND 100),
    das28_esr_reported double precision CHECK (das28_esr_reported BETWEEN 0 AND 10),
    das28_crp3_reported double precision CHECK (das28_crp3_reported BETWEEN 0 AND 10),
    swollen_28 double precision CHECK (swollen_28 BETWEEN 0 AND 28),
    tender_28 double precision CHECK (tender_28 BETWEEN 0 AND 28),
    esr double precision CHECK (esr BETWEEN 0 AND 300),
    crp double precision CHECK (crp BETWEEN 0 AND 1000),
    das28_esr4 double precision,
    das28_esr3 double precision,
    das28_crp4 double precision,
    das28_crp3 double precision,
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    source_file text NOT NULL,
    row_number integer NOT NULL,
    PRIMARY KEY (patient_id, visit_date),
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX disease_activity_by_first_batch ON registry.disease_activity (first_batch_date);

COMMENT ON TABLE registry.disease_activity IS 'Disease activity per visit: reported scores, their components, and DAS28 computed from the components.';
COMMENT ON COLUMN registry.disease_activity.patient_id IS 'Patient pseudonym from the registry.';
COMMENT ON COLUMN registry.disease_activity.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN registry.disease_activity.physician_global IS 'Physician''s global assessment of disease activity (physician_global_disease_activity), 0-100 mm.';
COMMENT ON COLUMN registry.disease_activity.patient_global IS 'Patient''s global assessment of disease activity (global_patient_estimate_disease_activity), 0-100 mm.';
COMMENT ON COLUMN registry.disease_activity.das28_esr_reported IS 'Reported four-variable DAS28-ESR (das28bsr_score; BSR is German for ESR).';
COMMENT ON COLUMN registry.disease_activity.das28_crp3_reported IS 'Reported three-variable DAS28-CRP (das283crp_score).';
COMMENT ON COLUMN registry.disease_activity.swollen_28 IS 'Number of swollen joints out of 28.';
COMMENT ON COLUMN registry.disease_activity.tender_28 IS 'Number of tender joints out of 28.';
COMMENT ON COLUMN registry.disease_activity.esr IS 'Erythrocyte sedimentation rate, mm/h.';
COMMENT ON COLUMN registry.disease_activity.crp IS 'C-reactive protein, mg/L.';
COMMENT ON COLUMN registry.disease_activity.das28_esr4 IS 'Four-variable DAS28-ESR, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.das28_esr3 IS 'Three-variable DAS28-ESR, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.das28_crp4 IS 'Four-variable DAS28-CRP, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.das28_crp3 IS 'Three-variable DAS28-CRP, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.batch_date IS 'Newest batch that delivered these values.';
COMMENT ON COLUMN registry.disease_activity.first_batch_date IS 'First batch that contained this visit.';
COMMENT ON COLUMN registry.disease_activity.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN registry.disease_activity.source_file IS 'Source file, relative to the landing zone.';
COMMENT ON COLUMN registry.disease_activity.row_number IS 'Line of the file; the header is line 1.';

CREATE TABLE registry.landing_file (
    source_file text PRIMARY KEY CHECK (source_file <> ''),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    published_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE registry.landing_file IS 'Checksum of each table file when it was last published. A late file with the same checksum is not read again.';
COMMENT ON COLUMN registry.landing_file.source_file IS 'Source file, relative to the landing zone.';
COMMENT ON COLUMN registry.landing_file.sha256 IS 'SHA-256 of the file, in hex.';
COMMENT ON COLUMN registry.landing_file.run_id IS 'Run that last published the file with new content.';
COMMENT ON COLUMN registry.landing_file.published_at IS 'Time at which that run published the file.';

-- A value as of batch D is the one in old_values of the first correction with new_batch_date > D that names the column,
-- or the value in the table if there is none. Values of an old batch that is read after a newer one never reach the
-- tables, so they are not recorded here.
CREATE TABLE registry.correction (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset text NOT NULL CHECK (dataset IN ('radiograph', 'consultation', 'joint_reading', 'disease_activity')),
    record_key text[] NOT NULL,
    patient_id text NOT NULL CHECK (patient_id <> ''),
    old_values jsonb NOT NULL,
    new_values jsonb NOT NULL,
    old_batch_date date NOT NULL,
    new_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    corrected_at timestamptz NOT NULL DEFAULT now(),
    CHECK (old_batch_date <= new_batch_date)
);

CREATE INDEX correction_by_record ON registry.correction (dataset, record_key, new_batch_date);
CREATE INDEX correction_by_patient ON registry.correction (patient_id);

COMMENT ON TABLE registry.correction IS 'Registry values that a newer batch replaced. Append-only, written by triggers.';
COMMENT ON COLUMN registry.correction.correction_id IS 'Sequential number.';
COMMENT ON COLUMN registry.correction.dataset IS 'Corrected table of schema registry.';
COMMENT ON COLUMN registry.correction.record_key IS 'Key of the corrected row, in the column order of its primary key.';
COMMENT ON COLUMN registry.correction.patient_id IS 'Patient pseudonym from the registry, after the correction.';
COMMENT ON COLUMN registry.correction.old_values IS 'Changed columns with their old values, in the units of the table.';
COMMENT ON COLUMN registry.correction.new_values IS 'Changed columns with their new values, in the units of the table.';
COMMENT ON COLUMN registry.correction.old_batch_date IS 'Newest batch that had delivered the old values.';
COMMENT ON COLUMN registry.correction.new_batch_date IS 'Batch that delivered the new values.';
COMMENT ON COLUMN registry.correction.run_id IS 'Run that wrote the new values.';
COMMENT ON COLUMN registry.correction.corrected_at IS 'Time of the correction.';

CREATE FUNCTION registry.record_correction() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO registry.correction (
        dataset, record_key, patient_id, old_values, new_values, old_batch_date, new_batch_date, run_id
    )
    SELECT
        TG_TABLE_NAME,
        ARRAY(
            SELECT to_jsonb(NEW) ->> name
            FROM unnest(TG_ARGV) WITH ORDINALITY AS key_column (name, position)
            ORDER BY position
        ),
        NEW.patient_id,
        jsonb_object_agg(old_value.key, old_value.value),
        jsonb_object_agg(old_value.key, new_value.value),
        OLD.batch_date,
        NEW.batch_date,
        NEW.run_id
    FROM jsonb_each(to_jsonb(OLD)) AS old_value
    INNER JOIN jsonb_each(to_jsonb(NEW)) AS new_value ON old_value.key = new_value.key
    WHERE old_value.value <> new_value.value
        AND old_value.key NOT IN ('batch_date', 'first_batch_date', 'run_id', 'source_file', 'row_number');
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION registry.record_correction() IS 'Writes the columns that an update changed to registry.correction; its arguments are the key columns of the table.';

CREATE TRIGGER record_correction AFTER UPDATE ON registry.radiograph
FOR EACH ROW
WHEN ((old.patient_id, old.visit_date, old.body_part) IS DISTINCT FROM (new.patient_id, new.visit_date, new.body_part))
EXECUTE FUNCTION registry.record_correction('sop_iuid');

CREATE TRIGGER record_correction AFTER UPDATE ON registry.consultation
FOR EACH ROW
WHEN (
    (old.patient_id, old.visit_date, old.read_on, old.sop_iuid, old.body_part, old.reported_rau)
    IS DISTINCT FROM (new.patient_id, new.visit_date, new.read_on, new.sop_iuid, new.body_part, new.reported_rau)
)
EXECUTE FUNCTION registry.record_correction('id_x');

-- A withdrawn reading (withdrawn_on) is not a correction of its value.
CREATE TRIGGER record_correction AFTER UPDATE ON registry.joint_reading
FOR EACH ROW
WHEN (
    (old.sop_iuid, old.patient_id, old.reading_percent, old.read_on)
    IS DISTINCT FROM (new.sop_iuid, new.patient_id, new.reading_percent, new.read_on)
)
EXECUTE FUNCTION registry.record_correction('id_x', 'joint');

CREATE TRIGGER record_correction AFTER UPDATE ON registry.disease_activity
FOR EACH ROW
WHEN (
    (
        old.physician_global, old.patient_global, old.das28_esr_reported, old.das28_crp3_reported,
        old.swollen_28, old.tender_28, old.esr, old.crp,
        old.das28_esr4, old.das28_esr3, old.das28_crp4, old.das28_crp3
    ) IS DISTINCT FROM (
        new.physician_global, new.patient_global, new.das28_esr_reported, new.das28_crp3_reported,
        new.swollen_28, new.tender_28, new.esr, new.crp,
        new.das28_esr4, new.das28_esr3, new.das28_crp4, new.das28_crp3
    )
)
EXECUTE FUNCTION registry.record_correction('patient_id', 'visit_date');
