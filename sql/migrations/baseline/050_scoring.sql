-- Title: Predictions, quarantine and challenges
-- Description: A prediction belongs to the bytes of an image, to a model and to a preprocessing version. A new model
-- adds rows and never overwrites any. A network predicts a probability distribution over the eroded share of the joint
-- surface; percentages, interval and grade are read out of it by the rule in the model's manifest (read_out). Rau
-- score: sum of the grades * 38 / number of scored joints, 0-190 points (Rau & Wassenberg, in: Bildgebende Verfahren in
-- der Rheumatologie, 2007). A score from fewer than the usual 32 joints is flagged as extrapolated.
--
-- The indexes are designed for ten million predictions. The tables are not partitioned by date: a batch or a year is
-- found as quickly through an index, and the primary key of joint_prediction, which stops a second run from writing a
-- prediction again, could not be unique over all partitions.

CREATE TABLE scoring.joint_prediction (
    image_sha256 text NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    preprocessing_version text NOT NULL,
    sop_iuid text NOT NULL,
    joint text NOT NULL,
    predicted_percent real NOT NULL CHECK (predicted_percent BETWEEN 0 AND 100),
    predicted_median real NOT NULL CHECK (predicted_median BETWEEN 0 AND 100),
    predicted_q05 real NOT NULL CHECK (predicted_q05 BETWEEN 0 AND 100),
    predicted_q95 real NOT NULL CHECK (predicted_q95 BETWEEN 0 AND 100),
    predicted_grade smallint NOT NULL CHECK (predicted_grade BETWEEN 0 AND 5),
    grade_probability real[] NOT NULL CHECK (array_length(grade_probability, 1) = 6),
    engine text NOT NULL,
    code_revision text NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    batch_date date NOT NULL,
    scored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image_sha256, model_version, preprocessing_version),
    FOREIGN KEY (image_sha256, sop_iuid, joint) REFERENCES imaging.joint_image (image_sha256, sop_iuid, joint),
    CHECK (predicted_q05 <= predicted_median AND predicted_median <= predicted_q95),
    CONSTRAINT joint_prediction_is_distribution CHECK (
        0 <= all(grade_probability)
        AND 1 >= all(grade_probability)
        AND grade_probability[1] + grade_probability[2] + grade_probability[3]
        + grade_probability[4] + grade_probability[5] + grade_probability[6] BETWEEN 0.99 AND 1.01
    )
);

CREATE INDEX joint_prediction_by_batch ON scoring.joint_prediction (model_version, batch_date);
CREATE INDEX joint_prediction_by_run ON scoring.joint_prediction (run_id);

-- Answers analyst.reading_versus_prediction from the index alone.
CREATE INDEX joint_prediction_by_joint ON scoring.joint_prediction (sop_iuid, joint, model_version)
INCLUDE (preprocessing_version, predicted_percent, predicted_q05, predicted_q95, predicted_grade);

COMMENT ON TABLE scoring.joint_prediction IS 'Predictions: one row per joint image, model and preprocessing version. Append-only.';
COMMENT ON COLUMN scoring.joint_prediction.image_sha256 IS 'SHA-256 of the scored image file, in hex.';
COMMENT ON COLUMN scoring.joint_prediction.model_version IS 'Model that made the prediction.';
COMMENT ON COLUMN scoring.joint_prediction.preprocessing_version IS 'Version of the image preprocessing.';
COMMENT ON COLUMN scoring.joint_prediction.sop_iuid IS 'SOP instance UID of the radiograph.';
COMMENT ON COLUMN scoring.joint_prediction.joint IS 'Joint, named after its registry column.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_percent IS 'Expected eroded share of the joint surface, in percent.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_median IS 'Median of the predicted distribution, in percent.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_q05 IS 'Lower end of the calibrated 90 % interval, in percent; not necessarily the 5 % quantile of the predicted distribution.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_q95 IS 'Upper end of the calibrated 90 % interval, in percent; not necessarily the 95 % quantile of the predicted distribution.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_grade IS 'Predicted Ratingen grade, 0-5, by the read-out rule of the model; not necessarily the grade of predicted_percent.';
COMMENT ON COLUMN scoring.joint_prediction.grade_probability IS 'Probability, 0 to 1, of grades 0 to 5, in this order; element 1 is grade 0.';
COMMENT ON COLUMN scoring.joint_prediction.engine IS 'Inference engine and precision: openvino/float32, openvino/bfloat16 or tensorflow/float32.';
COMMENT ON COLUMN scoring.joint_prediction.code_revision IS 'Software revision that scored the image.';
COMMENT ON COLUMN scoring.joint_prediction.run_id IS 'Run that scored the image.';
COMMENT ON COLUMN scoring.joint_prediction.batch_date IS 'Batch of the run that scored the image; after a rescoring, batch of the run that first accepted the image.';
COMMENT ON COLUMN scoring.joint_prediction.scored_at IS 'Time at which the prediction was written.';

CREATE TABLE scoring.rau_prediction (
    scope text NOT NULL CHECK (scope IN ('radiograph', 'visit')),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    sop_iuid text NOT NULL,
    -- sop_iuid is part of the primary key, so it is empty and not null for a visit. This copy can be a foreign key.
    radiograph_sop_iuid text GENERATED ALWAYS AS (nullif(sop_iuid, '')) STORED
    REFERENCES registry.radiograph (sop_iuid),
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    preprocessing_version text NOT NULL,
    rau_expected double precision NOT NULL CHECK (rau_expected BETWEEN 0 AND 190),
    rau_median double precision NOT NULL CHECK (rau_median BETWEEN 0 AND 190),
    rau_q05 double precision NOT NULL CHECK (rau_q05 BETWEEN 0 AND 190),
    rau_q95 double precision NOT NULL CHECK (rau_q95 BETWEEN 0 AND 190),
    rau_from_grades double precision NOT NULL CHECK (rau_from_grades BETWEEN 0 AND 190),
    n_scored smallint NOT NULL CHECK (n_scored BETWEEN 1 AND 38),
    extrapolated boolean NOT NULL GENERATED ALWAYS AS (n_scored < 32) STORED,
    is_current boolean NOT NULL DEFAULT TRUE,
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    scored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version),
    CHECK (rau_q05 <= rau_median AND rau_median <= rau_q95),
    CHECK ((scope = 'visit') = (sop_iuid = '')),
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX rau_prediction_by_model ON scoring.rau_prediction (model_version, scope, patient_id, visit_date);
CREATE INDEX rau_prediction_by_radiograph ON scoring.rau_prediction (sop_iuid) WHERE scope = 'radiograph';

-- Series of current visit scores in date order, for progression, correlation and forecast.
CREATE INDEX rau_prediction_current_visits
ON scoring.rau_prediction (model_version, patient_id, visit_date)
INCLUDE (preprocessing_version, rau_expected, rau_q05, rau_q95, n_scored, extrapolated, first_batch_date)
WHERE scope = 'visit' AND is_current;

COMMENT ON TABLE scoring.rau_prediction IS 'Predicted Rau scores: one row per radiograph or visit, and model. Scores are kept after their radiographs were moved to another visit, but the views exclude them (is_current).';
COMMENT ON COLUMN scoring.rau_prediction.scope IS 'radiograph or visit.';
COMMENT ON COLUMN scoring.rau_prediction.patient_id IS 'Patient pseudonym from the registry.';
COMMENT ON COLUMN scoring.rau_prediction.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN scoring.rau_prediction.sop_iuid IS 'SOP instance UID of the radiograph; empty for a visit.';
COMMENT ON COLUMN scoring.rau_prediction.radiograph_sop_iuid IS 'SOP instance UID of the radiograph; null for a visit.';
COMMENT ON COLUMN scoring.rau_prediction.model_version IS 'Model that made the joint predictions.';
COMMENT ON COLUMN scoring.rau_prediction.preprocessing_version IS 'Version of the image preprocessing.';
COMMENT ON COLUMN scoring.rau_prediction.rau_expected IS 'Expected Rau score, 0-190 points.';
COMMENT ON COLUMN scoring.rau_prediction.rau_median IS 'Median of the distribution of the Rau score, in points.';
COMMENT ON COLUMN scoring.rau_prediction.rau_q05 IS '5 % quantile, in points, from the convolution of the grade distributions of the joints.';
COMMENT ON COLUMN scoring.rau_prediction.rau_q95 IS '95 % quantile, in points.';
COMMENT ON COLUMN scoring.rau_prediction.rau_from_grades IS 'Rau score of the predicted grades (sum * 38 / n_scored), in points.';
COMMENT ON COLUMN scoring.rau_prediction.n_scored IS 'Number of scored joints.';
COMMENT ON COLUMN scoring.rau_prediction.extrapolated IS 'True if fewer than the usual 32 joints were scored.';
COMMENT ON COLUMN scoring.rau_prediction.is_current IS 'False if the registry has moved the radiograph, or all scored radiographs of the visit, to another visit or patient since. Maintained by triggers.';
COMMENT ON COLUMN scoring.rau_prediction.batch_date IS 'Batch of the run that last changed the row; after a rescoring, newest batch of the scored joints.';
COMMENT ON COLUMN scoring.rau_prediction.first_batch_date IS 'First batch with this score; analyses as of an earlier date exclude it.';
COMMENT ON COLUMN scoring.rau_prediction.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN scoring.rau_prediction.scored_at IS 'Time of the last change.';

-- is_current is stored and not computed by the views, because the lookup took most of the time of every view of Rau
-- scores. It changes rarely. Triggers maintain it, so that no writer can forget it.
CREATE FUNCTION scoring.refresh_is_current(patient_ids text[], visit_dates date[]) RETURNS void
LANGUAGE sql
AS $$
UPDATE scoring.rau_prediction AS score
SET is_current = checked.is_current
FROM (
    SELECT
        candidate.scope, candidate.patient_id, candidate.visit_date, candidate.sop_iuid, candidate.model_version,
        candidate.preprocessing_version,
        EXISTS (
            SELECT
            FROM scoring.rau_prediction AS scored
            INNER JOIN registry.radiograph
                ON radiograph.sop_iuid = scored.sop_iuid
                AND radiograph.patient_id = scored.patient_id
                AND radiograph.visit_date = scored.visit_date
            WHERE
                scored.scope = 'radiograph'
                AND scored.patient_id = candidate.patient_id
                AND scored.visit_date = candidate.visit_date
                AND scored.model_version = candidate.model_version
                AND scored.preprocessing_version = candidate.preprocessing_version
                AND candidate.sop_iuid IN ('', scored.sop_iuid)
        ) AS is_current
    FROM unnest(patient_ids, visit_dates) AS visit (patient_id, visit_date)
    INNER JOIN scoring.rau_prediction AS candidate
        -- Both scopes are listed so that the primary key, which begins with scope, is used.
        ON candidate.scope IN ('radiograph', 'visit')
        AND candidate.patient_id = visit.patient_id
        AND candidate.visit_date = visit.visit_date
) AS checked
WHERE
    score.scope = checked.scope
    AND score.patient_id = checked.patient_id
    AND score.visit_date = checked.visit_date
    AND score.sop_iuid = checked.sop_iuid
    AND score.model_version = checked.model_version
    AND score.preprocessing_version = checked.preprocessing_version
    AND score.is_current <> checked.is_current
$$;

COMMENT ON FUNCTION scoring.refresh_is_current(text[], date[]) IS 'Updates rau_prediction.is_current of all scores, by all models, of the given visits. Element i of both arrays describes one visit.';

CREATE FUNCTION scoring.refresh_after_move() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM scoring.refresh_is_current(ARRAY[OLD.patient_id, NEW.patient_id], ARRAY[OLD.visit_date, NEW.visit_date]);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION scoring.refresh_after_move() IS 'Updates the scores of the visit that a radiograph left and of the visit that it joined.';

CREATE TRIGGER refresh_after_move AFTER UPDATE ON registry.radiograph
FOR EACH ROW
WHEN ((old.patient_id, old.visit_date) IS DISTINCT FROM (new.patient_id, new.visit_date))
EXECUTE FUNCTION scoring.refresh_after_move();

-- Once per statement, because a visit depends on its radiographs, which may be inserted after it.
CREATE FUNCTION scoring.refresh_after_insert() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM scoring.refresh_is_current(array_agg(visit.patient_id), array_agg(visit.visit_date))
    FROM (SELECT DISTINCT inserted.patient_id, inserted.visit_date FROM inserted) AS visit;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION scoring.refresh_after_insert() IS 'Updates all scores of the visits for which scores were inserted.';

CREATE TRIGGER refresh_after_insert AFTER INSERT ON scoring.rau_prediction
REFERENCING NEW TABLE AS inserted
FOR EACH STATEMENT
EXECUTE FUNCTION scoring.refresh_after_insert();

CREATE TABLE scoring.rescoring_rejection (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    image_sha256 text NOT NULL REFERENCES imaging.joint_image (image_sha256),
    reason text NOT NULL CHECK (reason <> ''),
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, image_sha256)
);

COMMENT ON TABLE scoring.rescoring_rejection IS 'Accepted images that a rescoring could not score because their files are missing or have changed. Append-only.';
COMMENT ON COLUMN scoring.rescoring_rejection.run_id IS 'Rescoring run.';
COMMENT ON COLUMN scoring.rescoring_rejection.image_sha256 IS 'SHA-256 of the accepted image file, in hex.';
COMMENT ON COLUMN scoring.rescoring_rejection.reason IS 'Problem with the file and remedy.';
COMMENT ON COLUMN scoring.rescoring_rejection.rejected_at IS 'Time at which the problem was found.';

-- Values of patients are never copied here. A row that is accepted later, or that was corrected or removed in its file,
-- is marked as resolved and kept.
CREATE TABLE scoring.quarantine (
    row_key text NOT NULL,
    rule text NOT NULL CHECK (rule <> ''),
    dataset text NOT NULL CHECK (dataset IN ('consultations', 'readings', 'disease_activity', 'images')),
    record_id text,
    severity text NOT NULL CHECK (severity IN ('critical', 'warning', 'info')),
    kept boolean NOT NULL,
    reason text NOT NULL,
    remedy text NOT NULL,
    source_file text NOT NULL,
    row_number integer NOT NULL,
    batch_date date NOT NULL,
    content_sha256 text CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    resolved_by_run uuid REFERENCES scoring.run (run_id),
    resolved_at timestamptz,
    PRIMARY KEY (row_key, rule),
    CHECK ((resolved_by_run IS NULL) = (resolved_at IS NULL)),
    CHECK (kept = (severity <> 'critical'))
);

CREATE INDEX quarantine_open ON scoring.quarantine (batch_date, dataset) WHERE resolved_at IS NULL;

COMMENT ON TABLE scoring.quarantine IS 'Rows and images that broke a validation rule: one row per record and rule.';
COMMENT ON COLUMN scoring.quarantine.row_key IS 'Key of the received row: file:line, file:line:joint, or the path of the image.';
COMMENT ON COLUMN scoring.quarantine.rule IS 'Validation rule, such as images.decodes.';
COMMENT ON COLUMN scoring.quarantine.dataset IS 'consultations, readings, disease_activity or images.';
COMMENT ON COLUMN scoring.quarantine.record_id IS 'Key of the record as far as it could be read: id_x; patient and date; or radiograph and joint.';
COMMENT ON COLUMN scoring.quarantine.severity IS 'critical: the row was excluded; warning or info: the row was used.';
COMMENT ON COLUMN scoring.quarantine.kept IS 'True if the row was used although it broke the rule.';
COMMENT ON COLUMN scoring.quarantine.reason IS 'Problem, in one sentence.';
COMMENT ON COLUMN scoring.quarantine.remedy IS 'Recommended action, in one sentence.';
COMMENT ON COLUMN scoring.quarantine.source_file IS 'Source file, relative to the landing zone.';
COMMENT ON COLUMN scoring.quarantine.row_number IS 'Line of the file; the header is line 1; 0 for an image.';
COMMENT ON COLUMN scoring.quarantine.batch_date IS 'Date of the batch (landing folder).';
COMMENT ON COLUMN scoring.quarantine.content_sha256 IS 'SHA-256 of the rejected image, so that later runs need not check the same bytes again; null for records.';
COMMENT ON COLUMN scoring.quarantine.run_id IS 'Run that first quarantined the row, or quarantined it again after it had been resolved.';
COMMENT ON COLUMN scoring.quarantine.quarantined_at IS 'Time at which the row was quarantined.';
COMMENT ON COLUMN scoring.quarantine.resolved_by_run IS 'Run that later accepted the row, or found it corrected or removed; null while it is open.';
COMMENT ON COLUMN scoring.quarantine.resolved_at IS 'Time at which the row was resolved; null while it is open.';

CREATE TABLE scoring.run_quarantine (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    row_key text NOT NULL,
    rule text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, row_key, rule, recorded_at),
    FOREIGN KEY (row_key, rule) REFERENCES scoring.quarantine (row_key, rule)
);

COMMENT ON TABLE scoring.run_quarantine IS 'Quarantined rows found by each run, including rows that an earlier run had already quarantined. Append-only.';
COMMENT ON COLUMN scoring.run_quarantine.run_id IS 'Run that found the row.';
COMMENT ON COLUMN scoring.run_quarantine.row_key IS 'Key of the received row.';
COMMENT ON COLUMN scoring.run_quarantine.rule IS 'Validation rule that the row broke.';
COMMENT ON COLUMN scoring.run_quarantine.recorded_at IS 'Time of the transaction; distinguishes the attempts of a run that was cleared and repeated.';

CREATE TABLE scoring.training_snapshot (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    snapshot_sha256 text NOT NULL CHECK (snapshot_sha256 ~ '^[0-9a-f]{64}$'),
    cut_off date NOT NULL,
    preprocessing_version text NOT NULL CHECK (preprocessing_version <> ''),
    n_joints integer NOT NULL CHECK (n_joints >= 0),
    n_patients integer NOT NULL CHECK (n_patients BETWEEN 0 AND n_joints),
    joints_by_grade integer[] NOT NULL CHECK (array_length(joints_by_grade, 1) = 6),
    excluded jsonb NOT NULL,
    n_discordant integer NOT NULL CHECK (n_discordant >= 0),
    synthetic boolean NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, snapshot_sha256)
);

COMMENT ON TABLE scoring.training_snapshot IS 'Sets of read joints on which retrainings train and evaluate their models. Append-only.';
COMMENT ON COLUMN scoring.training_snapshot.run_id IS 'Retraining run.';
COMMENT ON COLUMN scoring.training_snapshot.snapshot_sha256 IS 'SHA-256 of all pixels, readings and identifiers of the set, in hex; also listed in the manifests of the models trained on it.';
COMMENT ON COLUMN scoring.training_snapshot.cut_off IS 'Newest batch from which images and readings were taken.';
COMMENT ON COLUMN scoring.training_snapshot.preprocessing_version IS 'Version of the image preprocessing.';
COMMENT ON COLUMN scoring.training_snapshot.n_joints IS 'Number of joints in the set.';
COMMENT ON COLUMN scoring.training_snapshot.n_patients IS 'Number of patients in the set.';
COMMENT ON COLUMN scoring.training_snapshot.joints_by_grade IS 'Number of joints read as grade 0 to 5, in this order; element 1 is grade 0.';
COMMENT ON COLUMN scoring.training_snapshot.excluded IS 'Number of read joints that were excluded, by reason.';
COMMENT ON COLUMN scoring.training_snapshot.n_discordant IS 'Number of joints in the set with several readings that differ; the latest reading is used.';
COMMENT ON COLUMN scoring.training_snapshot.synthetic IS 'True if any image came from a folder of synthetic phantoms.';
COMMENT ON COLUMN scoring.training_snapshot.taken_at IS 'Time at which the snapshot was recorded.';

CREATE TABLE scoring.challenge (
    challenge_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL,
    snapshot_sha256 text NOT NULL,
    champion text NOT NULL REFERENCES scoring.model_version (version),
    challenger text NOT NULL REFERENCES scoring.model_version (version),
    metric text NOT NULL CHECK (metric <> ''),
    champion_value double precision,
    challenger_value double precision,
    difference double precision,
    difference_low double precision,
    difference_high double precision,
    n_joints integer NOT NULL CHECK (n_joints >= 0),
    n_patients integer NOT NULL CHECK (n_patients BETWEEN 0 AND n_joints),
    subgroups jsonb NOT NULL,
    candidates jsonb NOT NULL,
    proposed boolean NOT NULL,
    reasons text[] NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run_id, champion, challenger, metric),
    FOREIGN KEY (run_id, snapshot_sha256) REFERENCES scoring.training_snapshot (run_id, snapshot_sha256),
    CHECK (difference_low <= difference_high)
);

COMMENT ON TABLE scoring.challenge IS 'Comparisons of a challenger with the champion on the same test patients, with the verdict of the promotion gate. Append-only.';
COMMENT ON COLUMN scoring.challenge.challenge_id IS 'Sequential number.';
COMMENT ON COLUMN scoring.challenge.run_id IS 'Retraining run.';
COMMENT ON COLUMN scoring.challenge.snapshot_sha256 IS 'Snapshot that contains the test patients.';
COMMENT ON COLUMN scoring.challenge.champion IS 'Promoted model at the time of the comparison.';
COMMENT ON COLUMN scoring.challenge.challenger IS 'Candidate with the best result on the validation patients.';
COMMENT ON COLUMN scoring.challenge.metric IS 'Metric of the comparison.';
COMMENT ON COLUMN scoring.challenge.champion_value IS 'Metric of the champion; null if undefined.';
COMMENT ON COLUMN scoring.challenge.challenger_value IS 'Metric of the challenger; null if undefined.';
COMMENT ON COLUMN scoring.challenge.difference IS 'Challenger minus champion; null if undefined.';
COMMENT ON COLUMN scoring.challenge.difference_low IS 'Lower end of the 95 % interval of the difference, from resampling patients; the gate requires a value above 0.';
COMMENT ON COLUMN scoring.challenge.difference_high IS 'Upper end of the 95 % interval of the difference.';
COMMENT ON COLUMN scoring.challenge.n_joints IS 'Number of test joints.';
COMMENT ON COLUMN scoring.challenge.n_patients IS 'Number of test patients.';
COMMENT ON COLUMN scoring.challenge.subgroups IS 'Subgroups by joint kind, side, exposure (thirds of mean brightness) and severity: number of joints, and mean absolute error in grades, for champion and challenger.';
COMMENT ON COLUMN scoring.challenge.candidates IS 'Score of each candidate of the run on the validation patients, by version.';
COMMENT ON COLUMN scoring.challenge.proposed IS 'True if the gate proposes to promote the challenger.';
COMMENT ON COLUMN scoring.challenge.reasons IS 'Reasons given by the gate, one sentence per element.';
COMMENT ON COLUMN scoring.challenge.judged_at IS 'Time of the comparison.';

CREATE TABLE scoring.challenge_decision (
    challenge_id bigint PRIMARY KEY REFERENCES scoring.challenge (challenge_id),
    decision text NOT NULL CHECK (decision IN ('promoted', 'rejected')),
    decided_by text NOT NULL CHECK (decided_by <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    decided_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE scoring.challenge_decision IS 'Decisions on challengers that the gate had proposed. Append-only.';
COMMENT ON COLUMN scoring.challenge_decision.challenge_id IS 'Challenge that the decision is about.';
COMMENT ON COLUMN scoring.challenge_decision.decision IS 'promoted or rejected.';
COMMENT ON COLUMN scoring.challenge_decision.decided_by IS 'Person who decided.';
COMMENT ON COLUMN scoring.challenge_decision.reason IS 'Reason for the decision.';
COMMENT ON COLUMN scoring.challenge_decision.decided_at IS 'Time of the decision.';
