-- Title: Where a Rau score comes from
-- Description: For every predicted Rau score, by any model: the images of the joints that it was made of, the model and
-- its weights, the way of preparing the images, the revision of the code and the run that wrote the score. What each
-- joint gave stands in lineage, by image_sha256. Of a joint that a visit's radiographs show more than once, the radiograph with
-- more joints counts, and among equals the one with the smaller sop_iuid (scoring/analysis/rau.py). A score that its
-- radiographs have left since has other images now, or none; is_current is false then.

-- Not materialized, and patient and visit in every window: so that a filter by patient reaches the joints.
CREATE VIEW analyst.rau_lineage AS
WITH shown AS NOT MATERIALIZED (
    SELECT
        radiograph.patient_id,
        radiograph.visit_date,
        joint_prediction.model_version,
        joint_prediction.preprocessing_version,
        joint_prediction.sop_iuid,
        joint_prediction.joint,
        joint_prediction.image_sha256,
        count(*) OVER (
            PARTITION BY
                radiograph.patient_id, radiograph.visit_date, joint_prediction.model_version,
                joint_prediction.preprocessing_version, joint_prediction.sop_iuid
        ) AS joints_of_radiograph
    FROM registry.radiograph
    INNER JOIN scoring.joint_prediction ON radiograph.sop_iuid = joint_prediction.sop_iuid
),

ranked AS (
    SELECT
        shown.*,
        row_number() OVER (
            PARTITION BY
                shown.patient_id, shown.visit_date, shown.model_version, shown.preprocessing_version, shown.joint
            ORDER BY shown.joints_of_radiograph DESC, shown.sop_iuid ASC
        ) AS place
    FROM shown
),

made_of AS (
    SELECT
        'radiograph' AS scope,
        shown.patient_id,
        shown.visit_date,
        shown.sop_iuid,
        shown.model_version,
        shown.preprocessing_version,
        array_agg(shown.image_sha256 ORDER BY shown.joint) AS image_sha256s
    FROM shown
    GROUP BY
        shown.patient_id, shown.visit_date, shown.sop_iuid, shown.model_version, shown.preprocessing_version
    UNION ALL
    SELECT
        'visit' AS scope,
        ranked.patient_id,
        ranked.visit_date,
        '' AS sop_iuid,
        ranked.model_version,
        ranked.preprocessing_version,
        array_agg(ranked.image_sha256 ORDER BY ranked.joint) AS image_sha256s
    FROM ranked
    WHERE ranked.place = 1
    GROUP BY ranked.patient_id, ranked.visit_date, ranked.model_version, ranked.preprocessing_version
)

SELECT
    rau_prediction.scope,
    rau_prediction.patient_id,
    rau_prediction.visit_date,
    rau_prediction.radiograph AS sop_iuid,
    rau_prediction.rau_expected,
    rau_prediction.n_scored,
    coalesce(array_length(made_of.image_sha256s, 1), 0) = rau_prediction.n_scored AS is_current,
    made_of.image_sha256s,
    rau_prediction.model_version,
    model_version.architecture,
    model_version.weights_sha256,
    model_version.trained_on_synthetic,
    coalesce(rau_prediction.model_version = champion.model_version, FALSE) AS is_champion,
    rau_prediction.preprocessing_version,
    run.code_revision,
    rau_prediction.run_id,
    run.job,
    run.batch_date,
    run.trigger,
    run.triggered_by,
    rau_prediction.scored_at
FROM scoring.rau_prediction
INNER JOIN scoring.model_version ON rau_prediction.model_version = model_version.version
INNER JOIN scoring.run ON rau_prediction.run_id = run.run_id
LEFT JOIN analyst.champion ON rau_prediction.model_version = champion.model_version
LEFT JOIN made_of
    ON rau_prediction.scope = made_of.scope
    AND rau_prediction.patient_id = made_of.patient_id
    AND rau_prediction.visit_date = made_of.visit_date
    AND rau_prediction.sop_iuid = made_of.sop_iuid
    AND rau_prediction.model_version = made_of.model_version
    AND rau_prediction.preprocessing_version = made_of.preprocessing_version;

COMMENT ON VIEW analyst.rau_lineage IS 'Origin of every predicted Rau score, of all models: images, weights, preprocessing, code revision, run.';
COMMENT ON COLUMN analyst.rau_lineage.scope IS 'radiograph or visit.';
COMMENT ON COLUMN analyst.rau_lineage.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.rau_lineage.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.rau_lineage.sop_iuid IS 'The radiograph; null for a visit.';
COMMENT ON COLUMN analyst.rau_lineage.rau_expected IS 'Expected Rau score, 0-190 points.';
COMMENT ON COLUMN analyst.rau_lineage.n_scored IS 'Number of joints behind it.';
COMMENT ON COLUMN analyst.rau_lineage.is_current IS 'True if as many images stand behind the score today as when it was made; false after its radiographs were moved.';
COMMENT ON COLUMN analyst.rau_lineage.image_sha256s IS 'SHA-256 of the bytes of each joint''s image, in the order of the joints'' columns; look them up in lineage.';
COMMENT ON COLUMN analyst.rau_lineage.model_version IS 'The model.';
COMMENT ON COLUMN analyst.rau_lineage.architecture IS 'Its architecture.';
COMMENT ON COLUMN analyst.rau_lineage.weights_sha256 IS 'SHA-256 of its weights.';
COMMENT ON COLUMN analyst.rau_lineage.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
COMMENT ON COLUMN analyst.rau_lineage.is_champion IS 'True if this is the model that the other views show today.';
COMMENT ON COLUMN analyst.rau_lineage.preprocessing_version IS 'How the bytes became the network''s input.';
COMMENT ON COLUMN analyst.rau_lineage.code_revision IS 'Revision of the software that made the score.';
COMMENT ON COLUMN analyst.rau_lineage.run_id IS 'Run that last changed the score.';
COMMENT ON COLUMN analyst.rau_lineage.job IS 'Job of that run.';
COMMENT ON COLUMN analyst.rau_lineage.batch_date IS 'Night of that run.';
COMMENT ON COLUMN analyst.rau_lineage.trigger IS 'The scheduler''s id of that run, or cli.';
COMMENT ON COLUMN analyst.rau_lineage.triggered_by IS 'Who or what started it.';
COMMENT ON COLUMN analyst.rau_lineage.scored_at IS 'When the score was last changed.';
