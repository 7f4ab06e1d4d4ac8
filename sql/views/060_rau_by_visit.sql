-- Title: Rau score per visit
-- Description: Rau score predicted by the champion from all joints of a visit, and the score that the registry reports.
-- The interval is computed from the distributions of the joints. A visit has a row if it has a radiograph, or a
-- reported score that names no radiograph. Rau = sum of grades * 38 / n_scored (0-190); with fewer than 32 joints it is
-- an extrapolation. Smallest detectable change of human readings: 6.3 points (3.3 % of 190; Rau & Wassenberg 2007).

CREATE VIEW analyst.rau_by_visit AS
WITH visit AS (
    SELECT named.patient_id, named.visit_date, count(named.sop_iuid) AS n_radiographs
    FROM (
        SELECT radiograph.patient_id, radiograph.visit_date, radiograph.sop_iuid
        FROM registry.radiograph
        UNION ALL
        SELECT consultation.patient_id, consultation.visit_date, NULL AS sop_iuid
        FROM registry.consultation
        WHERE consultation.sop_iuid IS NULL AND consultation.reported_rau IS NOT NULL
    ) AS named
    GROUP BY named.patient_id, named.visit_date
),

latest_reported AS (
    SELECT DISTINCT ON (consultation.patient_id, consultation.visit_date)
        consultation.patient_id, consultation.visit_date,
        consultation.reported_rau, consultation.read_on
    FROM registry.consultation
    WHERE consultation.reported_rau IS NOT NULL
    ORDER BY
        consultation.patient_id ASC, consultation.visit_date ASC, consultation.read_on DESC NULLS LAST,
        consultation.id_x DESC
),

predicted AS (
    SELECT score.*, champion.trained_on_synthetic
    FROM scoring.rau_prediction AS score
    INNER JOIN analyst.champion
        ON score.model_version = champion.model_version
        AND score.preprocessing_version = champion.preprocessing_version
    -- A score is not current if all its radiographs have moved to other visits.
    WHERE score.scope = 'visit' AND score.is_current
)

SELECT
    visit.patient_id, visit.visit_date, visit.n_radiographs,
    predicted.rau_expected, predicted.rau_median, predicted.rau_q05, predicted.rau_q95,
    predicted.rau_from_grades, predicted.n_scored, predicted.extrapolated,
    latest_reported.reported_rau, latest_reported.read_on AS reported_on,
    predicted.model_version, predicted.trained_on_synthetic, predicted.batch_date, predicted.scored_at
FROM visit
LEFT JOIN predicted ON visit.patient_id = predicted.patient_id AND visit.visit_date = predicted.visit_date
LEFT JOIN latest_reported
    ON visit.patient_id = latest_reported.patient_id AND visit.visit_date = latest_reported.visit_date;

COMMENT ON VIEW analyst.rau_by_visit IS 'Predicted Rau score with interval, number of joints and reported score: one row per visit.';
COMMENT ON COLUMN analyst.rau_by_visit.reported_on IS 'Date of the reading that reported_rau is from.';
COMMENT ON COLUMN analyst.rau_by_visit.batch_date IS 'Batch in which the prediction last changed; a rescoring keeps the original batches.';
