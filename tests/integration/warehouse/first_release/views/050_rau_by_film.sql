-- Title: Rau score by film
-- Description: The champion's Rau score from the joints of one film, beside the score that the registry reports for it.
-- Rau = sum of grades * 38 / n_scored (0-190); below 32 joints it is an extrapolation.

CREATE VIEW analyst.rau_by_film AS
WITH latest_reported AS (
    SELECT DISTINCT ON (consultation.sop_iuid)
        consultation.sop_iuid,
        consultation.reported_rau
    FROM registry.consultation
    WHERE
        consultation.sop_iuid IS NOT NULL
        AND consultation.reported_rau IS NOT NULL
    ORDER BY consultation.sop_iuid ASC, consultation.read_on DESC NULLS LAST, consultation.id_x DESC
)

SELECT
    radiograph.patient_id,
    radiograph.visit_date,
    radiograph.sop_iuid,
    radiograph.body_part,
    rau_prediction.rau_expected,
    rau_prediction.rau_median,
    rau_prediction.rau_q05,
    rau_prediction.rau_q95,
    rau_prediction.rau_from_grades,
    rau_prediction.n_scored,
    rau_prediction.extrapolated,
    latest_reported.reported_rau,
    rau_prediction.model_version,
    champion.trained_on_synthetic,
    rau_prediction.batch_date,
    rau_prediction.scored_at
FROM scoring.rau_prediction
INNER JOIN analyst.champion
    ON rau_prediction.model_version = champion.model_version
    AND rau_prediction.preprocessing_version = champion.preprocessing_version
-- The registry may move a film to another visit or patient; what was predicted for the old one is not shown.
INNER JOIN registry.radiograph
    ON rau_prediction.sop_iuid = radiograph.sop_iuid
    AND rau_prediction.patient_id = radiograph.patient_id
    AND rau_prediction.visit_date = radiograph.visit_date
LEFT JOIN latest_reported ON radiograph.sop_iuid = latest_reported.sop_iuid
WHERE rau_prediction.scope = 'film';
