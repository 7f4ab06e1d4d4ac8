-- Title: Rau score by visit
-- Description: The champion's Rau score from all joints of a visit, with an interval that is carried from the joints'
-- distributions, the number of joints behind it, and the score that the registry reports. One row for each visit that
-- has a film. Rau = sum of grades * 38 / n_scored (0-190); below 32 joints it is an extrapolation.
-- Smallest detectable change of human readings: about 6.3 points (3.3 % of 190; Rau & Wassenberg 2007).

CREATE VIEW analyst.rau_by_visit AS
WITH visit AS (
    SELECT
        radiograph.patient_id,
        radiograph.visit_date,
        count(*) AS n_films
    FROM registry.radiograph
    GROUP BY radiograph.patient_id, radiograph.visit_date
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

-- The registry may move a film to another visit. A score stands only while a film it was made from is still there: what
-- is left of the visit may never have been scored.
scored_visit AS (
    SELECT DISTINCT
        film.patient_id,
        film.visit_date,
        film.model_version,
        film.preprocessing_version
    FROM scoring.rau_prediction AS film
    INNER JOIN registry.radiograph
        ON film.sop_iuid = radiograph.sop_iuid
        AND film.patient_id = radiograph.patient_id
        AND film.visit_date = radiograph.visit_date
    WHERE film.scope = 'film'
),

predicted AS (
    SELECT
        rau_prediction.*,
        champion.trained_on_synthetic
    FROM scoring.rau_prediction
    INNER JOIN analyst.champion
        ON rau_prediction.model_version = champion.model_version
        AND rau_prediction.preprocessing_version = champion.preprocessing_version
    INNER JOIN scored_visit
        ON rau_prediction.patient_id = scored_visit.patient_id
        AND rau_prediction.visit_date = scored_visit.visit_date
        AND rau_prediction.model_version = scored_visit.model_version
        AND rau_prediction.preprocessing_version = scored_visit.preprocessing_version
    WHERE rau_prediction.scope = 'visit'
)

SELECT
    visit.patient_id,
    visit.visit_date,
    visit.n_films,
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
