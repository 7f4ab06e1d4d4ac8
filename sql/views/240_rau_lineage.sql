-- Title: Lineage of Rau scores
-- Description: Origin of every predicted Rau score by any model: joint images, model and weights, preprocessing
-- version, code revision and run. View lineage, joined by image_sha256, has the contribution of each joint. If several
-- radiographs of a visit show the same joint, the radiograph with more joints is used, and among equals the one with
-- the smaller sop_iuid (scoring/analysis/rau.py). The images are those of the visit today; image_count_matches is false
-- if they differ in number from the scored ones, for example after a radiograph was moved.

-- Not materialized, and with patient and visit in every window, so that a filter by patient reaches the joints.
CREATE VIEW analyst.rau_lineage AS
WITH shown AS NOT MATERIALIZED (
    SELECT
        radiograph.patient_id, radiograph.visit_date,
        prediction.model_version, prediction.preprocessing_version,
        prediction.sop_iuid, prediction.joint, prediction.image_sha256,
        count(*) OVER (
            PARTITION BY
                radiograph.patient_id, radiograph.visit_date, prediction.model_version,
                prediction.preprocessing_version, prediction.sop_iuid
        ) AS joints_of_radiograph
    FROM registry.radiograph
    INNER JOIN scoring.joint_prediction AS prediction ON radiograph.sop_iuid = prediction.sop_iuid
),

ranked AS (
    SELECT
        shown.*,
        row_number() OVER (
            PARTITION BY
                shown.patient_id, shown.visit_date, shown.model_version, shown.preprocessing_version, shown.joint
            ORDER BY shown.joints_of_radiograph DESC, shown.sop_iuid ASC
        ) AS priority
    FROM shown
),

made_of AS (
    SELECT
        'radiograph' AS scope, shown.patient_id, shown.visit_date, shown.sop_iuid,
        shown.model_version, shown.preprocessing_version,
        array_agg(shown.image_sha256 ORDER BY shown.joint) AS image_sha256s
    FROM shown
    GROUP BY
        shown.patient_id, shown.visit_date, shown.sop_iuid, shown.model_version, shown.preprocessing_version
    UNION ALL
    SELECT
        'visit' AS scope, ranked.patient_id, ranked.visit_date, '' AS sop_iuid,
        ranked.model_version, ranked.preprocessing_version,
        array_agg(ranked.image_sha256 ORDER BY ranked.joint) AS image_sha256s
    FROM ranked
    WHERE ranked.priority = 1
    GROUP BY ranked.patient_id, ranked.visit_date, ranked.model_version, ranked.preprocessing_version
)

SELECT
    score.scope, score.patient_id, score.visit_date, score.radiograph_sop_iuid AS sop_iuid,
    score.rau_expected, score.n_scored,
    coalesce(array_length(made_of.image_sha256s, 1), 0) = score.n_scored AS image_count_matches,
    made_of.image_sha256s,
    score.model_version, scorer.architecture, scorer.weights_sha256, scorer.trained_on_synthetic,
    coalesce(score.model_version = champion.model_version, FALSE) AS is_champion,
    score.preprocessing_version, run.code_revision,
    score.run_id, run.job, run.batch_date, run.trigger, run.triggered_by, score.scored_at
FROM scoring.rau_prediction AS score
INNER JOIN scoring.model_version AS scorer ON score.model_version = scorer.version
INNER JOIN scoring.run ON score.run_id = run.run_id
LEFT JOIN analyst.champion ON score.model_version = champion.model_version
LEFT JOIN made_of
    ON score.scope = made_of.scope
    AND score.patient_id = made_of.patient_id
    AND score.visit_date = made_of.visit_date
    AND score.sop_iuid = made_of.sop_iuid
    AND score.model_version = made_of.model_version
    AND score.preprocessing_version = made_of.preprocessing_version;

COMMENT ON VIEW analyst.rau_lineage IS 'Origin of every Rau score predicted by any model: images, weights, preprocessing, code revision, run.';
COMMENT ON COLUMN analyst.rau_lineage.scope IS 'radiograph or visit.';
COMMENT ON COLUMN analyst.rau_lineage.sop_iuid IS 'SOP instance UID of the radiograph; null for a visit.';
COMMENT ON COLUMN analyst.rau_lineage.image_count_matches IS 'True if the number of images in image_sha256s equals n_scored; false after radiographs were moved to or from the visit.';
COMMENT ON COLUMN analyst.rau_lineage.image_sha256s IS 'SHA-256 of the joint images, in the order of the joint columns; see lineage.';
COMMENT ON COLUMN analyst.rau_lineage.model_version IS 'Model that made the joint predictions.';
COMMENT ON COLUMN analyst.rau_lineage.batch_date IS 'Batch of the run.';
