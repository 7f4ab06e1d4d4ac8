-- Title: Rau score by visit
-- Description: The champion's Rau score from all joints of a visit, with an interval that is carried from the joints'
-- distributions, the number of joints behind it, and the score that the registry reports. One row for each visit that
-- has a radiograph, or a reported score that names none. Rau = sum of grades * 38 / n_scored (0-190); below 32 joints it is
-- an extrapolation.
-- Smallest detectable change of human readings: about 6.3 points (3.3 % of 190; Rau & Wassenberg 2007).

CREATE VIEW analyst.rau_by_visit AS
WITH visit AS (
    SELECT
        named.patient_id,
        named.visit_date,
        count(named.sop_iuid) AS n_radiographs
    FROM (
        SELECT
            radiograph.patient_id,
            radiograph.visit_date,
            radiograph.sop_iuid
        FROM registry.radiograph
        UNION ALL
        SELECT
            consultation.patient_id,
            consultation.visit_date,
            NULL AS sop_iuid
        FROM registry.consultation
        WHERE
            consultation.sop_iuid IS NULL
            AND consultation.reported_rau IS NOT NULL
    ) AS named
    GROUP BY named.patient_id, named.visit_date
),

latest_reported AS (
    SELECT DISTINCT ON (consultation.patient_id, consultation.visit_date)
        consultation.patient_id,
        consultation.visit_date,
        consultation.reported_rau,
        consultation.read_on
    FROM registry.consultation
    WHERE consultation.reported_rau IS NOT NULL
    ORDER BY
        consultation.patient_id ASC, consultation.visit_date ASC, consultation.read_on DESC NULLS LAST,
        consultation.id_x DESC
),

predicted AS (
    SELECT
        rau_prediction.*,
        champion.trained_on_synthetic
    FROM scoring.rau_prediction
    INNER JOIN analyst.champion
        ON rau_prediction.model_version = champion.model_version
        AND rau_prediction.preprocessing_version = champion.preprocessing_version
    WHERE
        rau_prediction.scope = 'visit'
        -- The registry may move a radiograph to another visit. A score stands only while a radiograph it was made from is still
        -- there: what is left of the visit may never have been scored.
        AND rau_prediction.stands
)

SELECT
    visit.patient_id,
    visit.visit_date,
    visit.n_radiographs,
    predicted.rau_expected,
    predicted.rau_median,
    predicted.rau_q05,
    predicted.rau_q95,
    predicted.rau_from_grades,
    predicted.n_scored,
    predicted.extrapolated,
    latest_reported.reported_rau,
    latest_reported.read_on AS reported_on,
    predicted.model_version,
    predicted.trained_on_synthetic,
    predicted.batch_date,
    predicted.scored_at
FROM visit
LEFT JOIN predicted
    ON visit.patient_id = predicted.patient_id
    AND visit.visit_date = predicted.visit_date
LEFT JOIN latest_reported
    ON visit.patient_id = latest_reported.patient_id
    AND visit.visit_date = latest_reported.visit_date;

COMMENT ON VIEW analyst.rau_by_visit IS 'Rau score of each visit: predicted with interval and number of joints, beside the reported one. One row a visit.';
COMMENT ON COLUMN analyst.rau_by_visit.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN analyst.rau_by_visit.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN analyst.rau_by_visit.n_radiographs IS 'Number of radiographs of the visit; 0 if a score was reported without naming one.';
COMMENT ON COLUMN analyst.rau_by_visit.rau_expected IS 'Expected Rau score, 0-190 points; null, never 0, if no joint was scored.';
COMMENT ON COLUMN analyst.rau_by_visit.rau_median IS 'Median of its distribution, points.';
COMMENT ON COLUMN analyst.rau_by_visit.rau_q05 IS 'Lower end of the 90 % interval, points.';
COMMENT ON COLUMN analyst.rau_by_visit.rau_q95 IS 'Upper end of the 90 % interval, points.';
COMMENT ON COLUMN analyst.rau_by_visit.rau_from_grades IS 'Rau score of the predicted grades, points.';
COMMENT ON COLUMN analyst.rau_by_visit.n_scored IS 'Number of joints that were scored.';
COMMENT ON COLUMN analyst.rau_by_visit.extrapolated IS 'True if fewer than 32 joints were scored.';
COMMENT ON COLUMN analyst.rau_by_visit.reported_rau IS 'Rau score by the visit''s latest consultation that reports one, points.';
COMMENT ON COLUMN analyst.rau_by_visit.reported_on IS 'Date of that reading.';
COMMENT ON COLUMN analyst.rau_by_visit.model_version IS 'The champion; null if not scored.';
COMMENT ON COLUMN analyst.rau_by_visit.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the prediction says nothing about the patient.';
COMMENT ON COLUMN analyst.rau_by_visit.batch_date IS 'Night in which the prediction last changed; a rescored history keeps its nights.';
COMMENT ON COLUMN analyst.rau_by_visit.scored_at IS 'When it was changed.';
