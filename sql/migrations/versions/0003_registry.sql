-- Title: Registry
-- Description: What the registry sent and validation accepted, one row for each thing: a radiograph, a reader's consultation
-- of it, a reading of one joint, a visit's disease activity. A row knows the newest landing folder that delivered its
-- values (batch_date), the first folder that ever named it (first_batch_date), file and line, and the run.
--
-- Ratingen grade of a joint: share of the joint surface that is eroded, in steps of 20 %; 38 joints, sum 0-190.
--   Rau R, Wassenberg S, Herborn G, Stucki G, Gebler A. A new method of scoring radiographic change in rheumatoid
--   arthritis. J Rheumatol 1998;25:2094-2107.
-- DAS28: 28 joints tender and swollen, ESR or CRP, with or without the patient's global assessment. The four forms are
--   not interchangeable and are never mixed in one series. https://www.das-score.nl, "alternative validated formulae".

CREATE TABLE registry.radiograph (
    sop_iuid text PRIMARY KEY CHECK (sop_iuid <> ''),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    body_part text,
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX radiograph_by_visit ON registry.radiograph (patient_id, visit_date);

COMMENT ON TABLE registry.radiograph IS 'Radiographs, derived from the consultations that name them.';
COMMENT ON COLUMN registry.radiograph.sop_iuid IS 'DICOM SOP instance UID of the radiograph, or the registry''s pseudonym of it.';
COMMENT ON COLUMN registry.radiograph.patient_id IS 'The registry''s pseudonym of the patient; text, zeros in front count.';
COMMENT ON COLUMN registry.radiograph.visit_date IS 'Date of the visit at which the radiograph was taken (date_x).';
COMMENT ON COLUMN registry.radiograph.body_part IS 'What the radiograph shows, in the registry''s words, such as HAND_LEFT.';
COMMENT ON COLUMN registry.radiograph.batch_date IS 'Newest landing folder that delivered these values.';
COMMENT ON COLUMN registry.radiograph.first_batch_date IS 'First landing folder that named this radiograph.';
COMMENT ON COLUMN registry.radiograph.run_id IS 'Run that last changed the row.';

CREATE TABLE registry.consultation (
    id_x text PRIMARY KEY CHECK (id_x <> ''),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    read_on date,
    sop_iuid text REFERENCES registry.radiograph (sop_iuid),
    body_part text,
    reported_rau double precision CHECK (reported_rau BETWEEN 0 AND 190),
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    source_file text NOT NULL,
    row_number integer NOT NULL,
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX consultation_by_visit ON registry.consultation (patient_id, visit_date);
CREATE INDEX consultation_by_radiograph ON registry.consultation (sop_iuid);

COMMENT ON TABLE registry.consultation IS 'A reader''s consultation of a radiograph: one row of consultations.csv without its joints.';
COMMENT ON COLUMN registry.consultation.id_x IS 'The registry''s key of the consultation.';
COMMENT ON COLUMN registry.consultation.patient_id IS 'The registry''s pseudonym of the patient; text, zeros in front count.';
COMMENT ON COLUMN registry.consultation.visit_date IS 'Date of the visit (date_x).';
COMMENT ON COLUMN registry.consultation.read_on IS 'Date on which the radiograph was read (date_y); may lie decades after the visit.';
COMMENT ON COLUMN registry.consultation.sop_iuid IS 'The radiograph that was read.';
COMMENT ON COLUMN registry.consultation.body_part IS 'What the radiograph shows, in the registry''s words.';
COMMENT ON COLUMN registry.consultation.reported_rau IS 'Rau score as the registry reports it (rau_score), 0-190 points; null if none was given.';
COMMENT ON COLUMN registry.consultation.batch_date IS 'Newest landing folder that delivered these values.';
COMMENT ON COLUMN registry.consultation.first_batch_date IS 'First landing folder that named this consultation.';
COMMENT ON COLUMN registry.consultation.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN registry.consultation.source_file IS 'File of that folder, relative to the landing zone.';
COMMENT ON COLUMN registry.consultation.row_number IS 'Line of that file; the header is line 1.';

CREATE TABLE registry.joint_reading (
    id_x text NOT NULL REFERENCES registry.consultation (id_x),
    joint text NOT NULL CHECK (joint <> ''),
    sop_iuid text REFERENCES registry.radiograph (sop_iuid),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    reading_percent double precision NOT NULL CHECK (reading_percent BETWEEN 0 AND 100),
    -- The grade of a reading as it stands. That a predicted percentage below 1 reads as grade 0 is a rule of the
    -- network's read-out and does not belong here.
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
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX joint_reading_by_radiograph ON registry.joint_reading (sop_iuid, joint);

COMMENT ON TABLE registry.joint_reading IS 'One human reading of one joint on one radiograph, in long form.';
COMMENT ON COLUMN registry.joint_reading.id_x IS 'The consultation in which the joint was read.';
COMMENT ON COLUMN registry.joint_reading.joint IS 'The joint, by its registry column: hand_left_1 (PIP5) to foot_right_5 (IP1), wrist_left, wrist_right.';
COMMENT ON COLUMN registry.joint_reading.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN registry.joint_reading.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN registry.joint_reading.reading_percent IS 'Share of the joint surface that is eroded, in percent, as read.';
COMMENT ON COLUMN registry.joint_reading.reading_grade IS 'Ratingen grade 0-5 of that percentage: 0; up to 20; 40; 60; 80; above.';
COMMENT ON COLUMN registry.joint_reading.read_on IS 'Date on which the radiograph was read.';
COMMENT ON COLUMN registry.joint_reading.withdrawn_on IS 'Landing folder in which the consultation no longer holds this reading; null while it stands. Leave withdrawn readings out.';
COMMENT ON COLUMN registry.joint_reading.batch_date IS 'Newest landing folder that delivered these values.';
COMMENT ON COLUMN registry.joint_reading.first_batch_date IS 'First landing folder that held this reading.';
COMMENT ON COLUMN registry.joint_reading.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN registry.joint_reading.source_file IS 'File of that folder, relative to the landing zone.';
COMMENT ON COLUMN registry.joint_reading.row_number IS 'Line of that file; the header is line 1.';

-- The largest values are those of the formulae, scoring/clinical/das28.py.
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

COMMENT ON TABLE registry.disease_activity IS 'Disease activity at a visit: what was reported, its components, and DAS28 computed from them.';
COMMENT ON COLUMN registry.disease_activity.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN registry.disease_activity.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN registry.disease_activity.physician_global IS 'The physician''s global assessment of disease activity (physician_global_disease_activity), 0-100 mm.';
COMMENT ON COLUMN registry.disease_activity.patient_global IS 'The patient''s global assessment (global_patient_estimate_disease_activity), 0-100 mm.';
COMMENT ON COLUMN registry.disease_activity.das28_esr_reported IS 'DAS28-ESR, four variables, as reported (das28bsr_score; BSR is German for ESR).';
COMMENT ON COLUMN registry.disease_activity.das28_crp3_reported IS 'DAS28-CRP, three variables, as reported (das283crp_score).';
COMMENT ON COLUMN registry.disease_activity.swollen_28 IS 'Number of swollen joints out of 28.';
COMMENT ON COLUMN registry.disease_activity.tender_28 IS 'Number of tender joints out of 28.';
COMMENT ON COLUMN registry.disease_activity.esr IS 'Erythrocyte sedimentation rate, mm in the first hour.';
COMMENT ON COLUMN registry.disease_activity.crp IS 'C-reactive protein, mg/L.';
COMMENT ON COLUMN registry.disease_activity.das28_esr4 IS 'DAS28-ESR of four variables, computed from the components; null if one is missing.';
COMMENT ON COLUMN registry.disease_activity.das28_esr3 IS 'DAS28-ESR of three variables, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.das28_crp4 IS 'DAS28-CRP of four variables, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.das28_crp3 IS 'DAS28-CRP of three variables, computed; null if a component is missing.';
COMMENT ON COLUMN registry.disease_activity.batch_date IS 'Newest landing folder that delivered these values.';
COMMENT ON COLUMN registry.disease_activity.first_batch_date IS 'First landing folder that named this visit.';
COMMENT ON COLUMN registry.disease_activity.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN registry.disease_activity.source_file IS 'File of that folder, relative to the landing zone.';
COMMENT ON COLUMN registry.disease_activity.row_number IS 'Line of that file; the header is line 1.';

CREATE TABLE registry.landing_file (
    source_file text PRIMARY KEY CHECK (source_file <> ''),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    published_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE registry.landing_file IS 'Content of each landed table file as last published; tells a late change from a file that was read already.';
COMMENT ON COLUMN registry.landing_file.source_file IS 'File, relative to the landing zone.';
COMMENT ON COLUMN registry.landing_file.sha256 IS 'SHA-256 of its bytes, in hex.';
COMMENT ON COLUMN registry.landing_file.run_id IS 'Run that last published it with a new content.';
COMMENT ON COLUMN registry.landing_file.published_at IS 'When that was.';
