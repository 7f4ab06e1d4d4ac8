-- Title: Training snapshots and challenges
-- Description: A retraining takes a snapshot of the joints that were read, trains candidates on it, and lets the best
-- of them challenge the champion on patients that neither has seen. What was compared, how it came out and who decided
-- is only ever added to. A promotion itself stands in scoring.promotion.

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

COMMENT ON TABLE scoring.training_snapshot IS 'The read joints that a retraining learns from and is judged on. Append-only.';
COMMENT ON COLUMN scoring.training_snapshot.run_id IS 'The retraining.';
COMMENT ON COLUMN scoring.training_snapshot.snapshot_sha256 IS 'SHA-256 of all pixels, readings and ids of the set, in hex; stands in the manifests of the models trained on it.';
COMMENT ON COLUMN scoring.training_snapshot.cut_off IS 'Newest landing folder whose images and readings were taken.';
COMMENT ON COLUMN scoring.training_snapshot.preprocessing_version IS 'How bytes became the pixels of the set.';
COMMENT ON COLUMN scoring.training_snapshot.n_joints IS 'Number of joints in the set.';
COMMENT ON COLUMN scoring.training_snapshot.n_patients IS 'Number of patients behind them.';
COMMENT ON COLUMN scoring.training_snapshot.joints_by_grade IS 'Number of joints read as grade 0 to 5, in this order; [1] is grade 0.';
COMMENT ON COLUMN scoring.training_snapshot.excluded IS 'Number of read joints that were left out, by reason.';
COMMENT ON COLUMN scoring.training_snapshot.n_discordant IS 'Number of joints of the set that were read more than once, with different values; the latest reading is taken.';
COMMENT ON COLUMN scoring.training_snapshot.synthetic IS 'True if any image came from a folder of synthetic phantoms.';
COMMENT ON COLUMN scoring.training_snapshot.taken_at IS 'When the snapshot was written down.';

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
    promote boolean NOT NULL,
    reasons text[] NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (run_id, champion, challenger, metric),
    FOREIGN KEY (run_id, snapshot_sha256) REFERENCES scoring.training_snapshot (run_id, snapshot_sha256),
    CHECK (difference_low <= difference_high)
);

COMMENT ON TABLE scoring.challenge IS 'A challenger against the champion on the same test patients, and what the gate said. Append-only.';
COMMENT ON COLUMN scoring.challenge.challenge_id IS 'Running number.';
COMMENT ON COLUMN scoring.challenge.run_id IS 'The retraining.';
COMMENT ON COLUMN scoring.challenge.snapshot_sha256 IS 'The snapshot whose test patients both were judged on.';
COMMENT ON COLUMN scoring.challenge.champion IS 'The promoted model at that time.';
COMMENT ON COLUMN scoring.challenge.challenger IS 'The candidate that was best on the validation patients.';
COMMENT ON COLUMN scoring.challenge.metric IS 'What they were compared by.';
COMMENT ON COLUMN scoring.challenge.champion_value IS 'The champion''s value; null if it is not defined.';
COMMENT ON COLUMN scoring.challenge.challenger_value IS 'The challenger''s value.';
COMMENT ON COLUMN scoring.challenge.difference IS 'Challenger minus champion.';
COMMENT ON COLUMN scoring.challenge.difference_low IS 'Lower end of the difference''s 95 % interval, from drawing patients; the gate asks for more than 0.';
COMMENT ON COLUMN scoring.challenge.difference_high IS 'Upper end of it.';
COMMENT ON COLUMN scoring.challenge.n_joints IS 'Number of test joints.';
COMMENT ON COLUMN scoring.challenge.n_patients IS 'Number of test patients.';
COMMENT ON COLUMN scoring.challenge.subgroups IS 'For each kind of joint and severity: joints and the mean distance in grades from the reading, of champion and challenger.';
COMMENT ON COLUMN scoring.challenge.candidates IS 'Validation score of every candidate of the run, by version.';
COMMENT ON COLUMN scoring.challenge.promote IS 'Whether the gate proposes the challenger.';
COMMENT ON COLUMN scoring.challenge.reasons IS 'Why, in sentences.';
COMMENT ON COLUMN scoring.challenge.judged_at IS 'When.';

CREATE TABLE scoring.challenge_decision (
    challenge_id bigint PRIMARY KEY REFERENCES scoring.challenge (challenge_id),
    decision text NOT NULL CHECK (decision IN ('promoted', 'refused')),
    decided_by text NOT NULL CHECK (decided_by <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    decided_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE scoring.challenge_decision IS 'What was decided on a challenge that the gate had proposed. Append-only.';
COMMENT ON COLUMN scoring.challenge_decision.challenge_id IS 'The challenge.';
COMMENT ON COLUMN scoring.challenge_decision.decision IS 'promoted or refused.';
COMMENT ON COLUMN scoring.challenge_decision.decided_by IS 'Who decided it.';
COMMENT ON COLUMN scoring.challenge_decision.reason IS 'Why, in the words of who decided.';
COMMENT ON COLUMN scoring.challenge_decision.decided_at IS 'When.';
