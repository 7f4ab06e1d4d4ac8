-- Title: Activation of a promoted model, and the bridge between two models
-- Description: A promotion says which model shall be the champion, an activation that it is: from then on the views
-- show its predictions. Between the two lies the rescoring of the history, so that nobody ever sees half of it. The
-- bridge says what a figure of the former model is on the scale of the new one.
--   Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310.
--   Regression: Deming's, with equal error variances, because both scores have error and neither is the truth; it is
--   the same line in both directions, as a conversion must be. Linnet K. Clin Chem 1993;39:424-432.
--   Kappa: Cohen J. Psychol Bull 1968;70:213-220, with squared distances of grades as weights.

CREATE TABLE scoring.activation (
    activation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint NOT NULL REFERENCES scoring.promotion (promotion_id),
    activated_at timestamptz NOT NULL DEFAULT now(),
    run_id uuid REFERENCES scoring.run (run_id),
    n_missing bigint NOT NULL CHECK (n_missing >= 0)
);

COMMENT ON TABLE scoring.activation IS 'When the views began to show a promoted model. The last row is the champion. Append-only.';
COMMENT ON COLUMN scoring.activation.activation_id IS 'Running number; the largest one counts.';
COMMENT ON COLUMN scoring.activation.promotion_id IS 'The promotion that took effect.';
COMMENT ON COLUMN scoring.activation.activated_at IS 'When.';
COMMENT ON COLUMN scoring.activation.run_id IS 'The rescoring that completed the history; null if nothing was missing when the model was promoted.';
COMMENT ON COLUMN scoring.activation.n_missing IS 'Accepted images that went without a prediction of the model, because their files are gone and a person said to go on.';

-- Until now a promotion took effect at once.
INSERT INTO scoring.activation (promotion_id, activated_at, n_missing)
SELECT
    promotion.promotion_id,
    promotion.promoted_at,
    0 AS n_missing
FROM scoring.promotion
ORDER BY promotion.promotion_id;

COMMENT ON TABLE scoring.promotion IS 'Who made which model the champion, when and why. The last row is the promoted model; it is shown from its activation on. Append-only.';
COMMENT ON COLUMN scoring.promotion.version IS 'The model that was to become champion.';

CREATE TABLE scoring.rescoring_rejection (
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    image_sha256 text NOT NULL REFERENCES imaging.joint_image (image_sha256),
    reason text NOT NULL CHECK (reason <> ''),
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, image_sha256)
);

COMMENT ON TABLE scoring.rescoring_rejection IS 'Accepted images that a rescoring could not score, because their files are no longer what was accepted. Append-only.';
COMMENT ON COLUMN scoring.rescoring_rejection.run_id IS 'The rescoring.';
COMMENT ON COLUMN scoring.rescoring_rejection.image_sha256 IS 'SHA-256 of the bytes that were accepted.';
COMMENT ON COLUMN scoring.rescoring_rejection.reason IS 'What is the matter with the file, in one sentence.';
COMMENT ON COLUMN scoring.rescoring_rejection.rejected_at IS 'When that was found.';

-- The books of a rescoring: planned = scored + already scored + refused.
ALTER TABLE scoring.run_count DROP CONSTRAINT run_count_outcome_check;
ALTER TABLE scoring.run_count ADD CONSTRAINT run_count_outcome_check CHECK (
    outcome IN (
        'landed', 'new', 'updated', 'unchanged', 'superseded', 'scored', 'already_scored', 'quarantined',
        'planned', 'refused'
    )
);

COMMENT ON COLUMN scoring.run_count.outcome IS 'landed (of a rescoring: planned), or what became of it. superseded: a newer folder''s row was there already; refused: the file is no longer what was accepted.';
COMMENT ON COLUMN scoring.run.batch_date IS 'The night: date of the landing folder. Of a rescoring the newest night of the history.';

-- A rescored history keeps its nights: a figure of a night, or as of a date, means the same under every model.
COMMENT ON COLUMN scoring.joint_prediction.batch_date IS 'Night of the run that scored the image; if the history was rescored, night of the run that first accepted the image.';
COMMENT ON COLUMN scoring.rau_prediction.batch_date IS 'Night of the run that last changed the row; if the history was rescored, newest night of the joints behind it.';
COMMENT ON COLUMN scoring.rau_prediction.first_batch_date IS 'Night from which on this score stands, such as for a correlation as of a date.';

CREATE TABLE analytics.model_comparison (
    old_model text NOT NULL REFERENCES scoring.model_version (version),
    new_model text NOT NULL REFERENCES scoring.model_version (version),
    measure text NOT NULL CHECK (measure IN ('erosion', 'rau_radiograph', 'rau_visit')),
    joint_kind text NOT NULL CHECK (joint_kind IN ('all', 'PIP', 'MCP', 'IP', 'MTP', 'wrist')),
    old_grade text NOT NULL CHECK (old_grade IN ('all', '0', '1', '2', '3', '4', '5')),
    n bigint NOT NULL CHECK (n > 0),
    mean_shift double precision NOT NULL,
    sd_shift double precision CHECK (sd_shift >= 0),
    loa_low double precision,
    loa_high double precision,
    slope double precision,
    intercept double precision,
    same_grade double precision CHECK (same_grade BETWEEN 0 AND 1),
    within_one_grade double precision CHECK (within_one_grade BETWEEN 0 AND 1),
    quadratic_weighted_kappa double precision CHECK (quadratic_weighted_kappa BETWEEN -1 AND 1),
    n_new_grade_0 bigint,
    n_new_grade_1 bigint,
    n_new_grade_2 bigint,
    n_new_grade_3 bigint,
    n_new_grade_4 bigint,
    n_new_grade_5 bigint,
    run_id uuid REFERENCES scoring.run (run_id),
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (old_model, new_model, measure, joint_kind, old_grade),
    CHECK (old_model <> new_model),
    CHECK (measure = 'erosion' OR (joint_kind = 'all' AND old_grade = 'all')),
    CHECK (loa_low <= loa_high)
);

COMMENT ON TABLE analytics.model_comparison IS 'How the scores of a new champion differ from those of the former one, on everything that both have scored.';
COMMENT ON COLUMN analytics.model_comparison.old_model IS 'The former champion.';
COMMENT ON COLUMN analytics.model_comparison.new_model IS 'The model that took its place.';
COMMENT ON COLUMN analytics.model_comparison.measure IS 'erosion: a joint''s expected eroded share, percent; rau_radiograph, rau_visit: expected Rau score of a radiograph or visit, 0-190 points.';
COMMENT ON COLUMN analytics.model_comparison.joint_kind IS 'PIP, MCP, IP, MTP, wrist, or all of them.';
COMMENT ON COLUMN analytics.model_comparison.old_grade IS 'Ratingen grade by the former model, or all. A shift within one grade holds regression to the mean as well.';
COMMENT ON COLUMN analytics.model_comparison.n IS 'Joint images, radiographs or visits that both models have scored; Rau scores only where from equally many joints.';
COMMENT ON COLUMN analytics.model_comparison.mean_shift IS 'Mean of new minus old.';
COMMENT ON COLUMN analytics.model_comparison.sd_shift IS 'Standard deviation of new minus old; null for a single pair.';
COMMENT ON COLUMN analytics.model_comparison.loa_low IS 'Lower limit of agreement: mean_shift - 1.96 sd_shift.';
COMMENT ON COLUMN analytics.model_comparison.loa_high IS 'Upper limit of agreement: mean_shift + 1.96 sd_shift.';
COMMENT ON COLUMN analytics.model_comparison.slope IS 'Slope of Deming''s regression of new on old, for equal error variances; null within one grade of the former model.';
COMMENT ON COLUMN analytics.model_comparison.intercept IS 'Its intercept: new = intercept + slope * old.';
COMMENT ON COLUMN analytics.model_comparison.same_grade IS 'Share of joints with the same grade by both; null for Rau scores.';
COMMENT ON COLUMN analytics.model_comparison.within_one_grade IS 'Share of joints at most one grade apart; null for Rau scores.';
COMMENT ON COLUMN analytics.model_comparison.quadratic_weighted_kappa IS 'Agreement of the grades beyond chance, weighted by squared distance; null for Rau scores, within one grade of the former model, and where all grades are one.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_0 IS 'Joints with grade 0 by the new model; null for Rau scores. The rows by old_grade are the table of grades, old by new.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_1 IS 'Joints with grade 1 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_2 IS 'Joints with grade 2 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_3 IS 'Joints with grade 3 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_4 IS 'Joints with grade 4 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.n_new_grade_5 IS 'Joints with grade 5 by the new model.';
COMMENT ON COLUMN analytics.model_comparison.run_id IS 'Rescoring that last changed the row; null if a promotion did that took effect at once.';
COMMENT ON COLUMN analytics.model_comparison.computed_at IS 'When it was changed.';
