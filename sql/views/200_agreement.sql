-- Title: Agreement between readers, and between readers and the model
-- Description: Pairs of grades of the same joint on the same radiograph: from two consultations (human-human; the
-- earlier reading comes first, and three consultations make three pairs), or from a consultation and the champion
-- (human-model; the reading comes first). Withdrawn readings are excluded. The registry does not identify readers, so
-- both readings of a pair may be by the same person. Joints of one patient are correlated: the results describe these
-- joints, and n_patients gives the number of patients. Results from fewer than 5 patients are suppressed. Each year has
-- its own rows, because agreement changes over time; visit_year is null for all years together.
-- Readings cluster at the limits between grades, so readers usually count grades one apart as agreement. Kappa with
-- squared distances as weights: Cohen J. Psychol Bull 1968;70:213-220; the same as quadratic_weighted_kappa in
-- scoring.training.evaluation.metrics. Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310.

CREATE VIEW analyst.agreement AS
WITH pair AS NOT MATERIALIZED (
    SELECT
        'human-human' AS comparison, radiograph.visit_date, earlier.patient_id, earlier.joint,
        earlier.reading_grade AS first_grade, later.reading_grade AS second_grade,
        later.reading_percent - earlier.reading_percent AS difference,
        NULL AS model_version, NULL::boolean AS trained_on_synthetic
    -- Joins consultations before joints, because few radiographs have two consultations.
    FROM registry.radiograph
    INNER JOIN registry.consultation AS one ON radiograph.sop_iuid = one.sop_iuid
    INNER JOIN registry.consultation AS other ON radiograph.sop_iuid = other.sop_iuid AND one.id_x <> other.id_x
    INNER JOIN registry.joint_reading AS earlier ON one.id_x = earlier.id_x
    INNER JOIN registry.joint_reading AS later
        ON other.id_x = later.id_x
        AND earlier.joint = later.joint
        AND (coalesce(earlier.read_on, '-infinity'), earlier.id_x) < (coalesce(later.read_on, '-infinity'), later.id_x)
    WHERE earlier.withdrawn_on IS NULL AND later.withdrawn_on IS NULL
    UNION ALL
    SELECT
        'human-model' AS comparison, reading.visit_date, reading.patient_id, reading.joint,
        reading.reading_grade AS first_grade, reading.predicted_grade AS second_grade,
        reading.predicted_percent - reading.reading_percent AS difference,
        reading.model_version, reading.trained_on_synthetic
    FROM analyst.reading_versus_prediction AS reading
),

-- Each pair counts in its year and in all years. The parts are separate, so that a query for one year skips the rest.
dated AS (
    SELECT NULL::integer AS visit_year, pair.*
    FROM pair
    UNION ALL
    SELECT extract(YEAR FROM pair.visit_date)::integer AS visit_year, pair.*
    FROM pair
),

-- Summed per patient and joint kind first; these few sums then add up to joint kinds and to all joints.
of_patient AS (
    SELECT
        dated.comparison, dated.visit_year, dated.model_version, dated.trained_on_synthetic,
        -- The joint kinds of scoring/clinical/joints.py.
        CASE
            WHEN dated.joint LIKE 'wrist%' THEN 'wrist'
            WHEN dated.joint LIKE 'hand%\_10' OR dated.joint LIKE 'foot%\_5' THEN 'IP'
            WHEN dated.joint LIKE 'foot%' THEN 'MTP'
            WHEN right(dated.joint, 2) IN ('_1', '_3', '_5', '_8') THEN 'PIP'
            ELSE 'MCP'
        END AS joint_kind,
        dated.patient_id,
        count(*) AS n,
        count(*) FILTER (WHERE dated.first_grade = dated.second_grade) AS n_same,
        count(*) FILTER (WHERE abs(dated.first_grade - dated.second_grade) <= 1) AS n_within_one,
        sum(dated.first_grade) AS first_sum, sum(dated.second_grade) AS second_sum,
        sum(dated.first_grade * dated.first_grade) AS first_squares,
        sum(dated.second_grade * dated.second_grade) AS second_squares,
        sum(dated.first_grade * dated.second_grade) AS products,
        sum(dated.difference) AS difference_sum,
        sum(dated.difference * dated.difference) AS difference_squares
    FROM dated
    GROUP BY
        dated.comparison, dated.visit_year, dated.model_version, dated.trained_on_synthetic, joint_kind,
        dated.patient_id
),

summed AS (
    SELECT
        part.comparison, part.visit_year, kind.joint_kind,
        part.model_version, part.trained_on_synthetic,
        count(DISTINCT part.patient_id) AS n_patients,
        sum(part.n)::double precision AS n,
        sum(part.n_same)::double precision AS n_same,
        sum(part.n_within_one)::double precision AS n_within_one,
        sum(part.first_sum)::double precision AS first_sum,
        sum(part.second_sum)::double precision AS second_sum,
        sum(part.first_squares)::double precision AS first_squares,
        sum(part.second_squares)::double precision AS second_squares,
        sum(part.products)::double precision AS products,
        sum(part.difference_sum) AS difference_sum, sum(part.difference_squares) AS difference_squares
    FROM of_patient AS part
    CROSS JOIN LATERAL (VALUES ('all'), (part.joint_kind)) AS kind (joint_kind)
    GROUP BY part.comparison, part.visit_year, part.model_version, part.trained_on_synthetic, kind.joint_kind
),

moments AS (
    SELECT
        summed.comparison, summed.visit_year, summed.joint_kind,
        summed.model_version, summed.trained_on_synthetic,
        summed.n::bigint AS n_pairs, summed.n_patients,
        summed.n_same / summed.n AS same_grade, summed.n_within_one / summed.n AS within_one_grade,
        (summed.first_squares + summed.second_squares - 2 * summed.products) / summed.n AS disagreement,
        -- Expected mean squared distance of two independent grades.
        (summed.first_squares + summed.second_squares - 2 * summed.first_sum * summed.second_sum / summed.n) / summed.n
            AS disagreement_by_chance,
        (summed.second_sum - summed.first_sum) / summed.n AS mean_grade_difference,
        summed.difference_sum / summed.n AS mean_difference,
        sqrt(
            greatest(0, summed.difference_squares - summed.difference_sum ^ 2 / summed.n) / nullif(summed.n - 1, 0)
        ) AS sd_difference
    FROM summed
)

SELECT
    moments.comparison, moments.visit_year, moments.joint_kind,
    moments.n_pairs, moments.n_patients, moments.n_patients < 5 AS suppressed,
    CASE WHEN moments.n_patients >= 5 THEN moments.same_grade END AS same_grade,
    CASE WHEN moments.n_patients >= 5 THEN moments.within_one_grade END AS within_one_grade,
    CASE WHEN moments.n_patients >= 5 THEN 1 - moments.disagreement / nullif(moments.disagreement_by_chance, 0) END
        AS quadratic_weighted_kappa,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_grade_difference END AS mean_grade_difference,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_difference END AS mean_difference,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_difference - 1.96 * moments.sd_difference END AS loa_low,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_difference + 1.96 * moments.sd_difference END AS loa_high,
    moments.model_version, moments.trained_on_synthetic
FROM moments;

COMMENT ON VIEW analyst.agreement IS 'Agreement on the same joint of the same radiograph, between two readings and between reading and champion, by joint kind, per year and for all years. Results from fewer than 5 patients are suppressed.';
COMMENT ON COLUMN analyst.agreement.comparison IS 'human-human (two consultations) or human-model (a consultation and the champion).';
COMMENT ON COLUMN analyst.agreement.visit_year IS 'Calendar year of the radiographs; null for all years together.';
COMMENT ON COLUMN analyst.agreement.joint_kind IS 'PIP, MCP, IP (thumb, great toe), MTP, wrist or all.';
COMMENT ON COLUMN analyst.agreement.n_pairs IS 'Number of pairs of grades.';
COMMENT ON COLUMN analyst.agreement.n_patients IS 'Number of patients.';
COMMENT ON COLUMN analyst.agreement.same_grade IS 'Share of pairs with the same Ratingen grade, 0-1.';
COMMENT ON COLUMN analyst.agreement.within_one_grade IS 'Share of pairs at most one grade apart, 0-1.';
COMMENT ON COLUMN analyst.agreement.quadratic_weighted_kappa IS 'Chance-corrected agreement of the grades, weighted by squared distance, -1 to 1: 1 is perfect, 0 is chance; null if all grades are equal.';
COMMENT ON COLUMN analyst.agreement.mean_grade_difference IS 'Mean of second minus first grade, in grades; human-model: positive if the model sees more damage.';
COMMENT ON COLUMN analyst.agreement.mean_difference IS 'Mean of second minus first eroded share, percent of the joint surface.';
COMMENT ON COLUMN analyst.agreement.loa_low IS 'Lower limit of agreement, percent: mean_difference - 1.96 standard deviations; null for a single pair.';
COMMENT ON COLUMN analyst.agreement.loa_high IS 'Upper limit of agreement, percent: mean_difference + 1.96 standard deviations; null for a single pair.';
