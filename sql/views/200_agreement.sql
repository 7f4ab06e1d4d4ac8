-- Title: Agreement between readers, and between readers and the model
-- Description: The same joint on the same film, graded twice: by two consultations (human-human; the earlier reading is
-- the first, a film of three consultations gives three pairs) or by a consultation and the champion (human-model; the
-- reading is the first). Withdrawn readings are left out. The registry does not say who read, so a pair may be one
-- reader twice. Joints of one patient are alike: the figures describe these joints, and n_patients says on how many
-- people they rest. Below 5 patients all figures are null and suppressed is true.
-- Within one grade counts as agreement among readers, because readings lie on the borders of grades. Kappa with squared
-- distances as weights: Cohen J. Psychol Bull 1968;70:213-220; the same as quadratic_weighted_kappa in
-- scoring/training/metrics.py. Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310.

CREATE VIEW analyst.agreement AS
WITH pair AS (
    SELECT
        'human-human' AS comparison,
        earlier.patient_id,
        earlier.joint,
        earlier.ratingen_grade AS first_grade,
        later.ratingen_grade AS second_grade,
        later.erosion_percent - earlier.erosion_percent AS difference,
        NULL AS model_version,
        NULL::boolean AS trained_on_synthetic
    FROM registry.joint_reading AS earlier
    INNER JOIN registry.joint_reading AS later
        ON earlier.sop_iuid = later.sop_iuid
        AND earlier.joint = later.joint
        AND (coalesce(earlier.read_on, '-infinity'), earlier.id_x) < (coalesce(later.read_on, '-infinity'), later.id_x)
    WHERE
        earlier.withdrawn_on IS NULL
        AND later.withdrawn_on IS NULL
    UNION ALL
    SELECT
        'human-model' AS comparison,
        reading.patient_id,
        reading.joint,
        reading.reading_grade AS first_grade,
        reading.predicted_grade AS second_grade,
        reading.predicted_percent - reading.reading_percent AS difference,
        reading.model_version,
        reading.trained_on_synthetic
    FROM analyst.reading_versus_prediction AS reading
),

-- Columns of the registry in the order of scoring/clinical/joints.py: the thumb and the great toe have IP joints.
of_kind AS (
    SELECT
        pair.*,
        CASE
            WHEN pair.joint LIKE 'wrist%' THEN 'wrist'
            WHEN pair.joint ~ '^(hand_.*_10|foot_.*_5)$' THEN 'IP'
            WHEN pair.joint LIKE 'foot%' THEN 'MTP'
            WHEN pair.joint ~ '_(1|3|5|8)$' THEN 'PIP'
            ELSE 'MCP'
        END AS joint_kind
    FROM pair
),

moments AS (
    SELECT
        of_kind.comparison,
        of_kind.model_version,
        of_kind.trained_on_synthetic,
        CASE WHEN grouping(of_kind.joint_kind) = 1 THEN 'all' ELSE of_kind.joint_kind END AS joint_kind,
        count(*) AS n_pairs,
        count(DISTINCT of_kind.patient_id) AS n_patients,
        avg((of_kind.first_grade = of_kind.second_grade)::integer)::double precision AS same_grade,
        avg((abs(of_kind.first_grade - of_kind.second_grade) <= 1)::integer)::double precision AS within_one_grade,
        avg((of_kind.first_grade - of_kind.second_grade) ^ 2) AS disagreement,
        -- The mean squared distance of a first and a second grade that are drawn independently.
        (
            avg(of_kind.first_grade * of_kind.first_grade) + avg(of_kind.second_grade * of_kind.second_grade)
            - 2 * avg(of_kind.first_grade) * avg(of_kind.second_grade)
        )::double precision AS disagreement_by_chance,
        avg(of_kind.second_grade - of_kind.first_grade)::double precision AS mean_grade_difference,
        avg(of_kind.difference) AS mean_difference,
        stddev_samp(of_kind.difference) AS sd_difference
    FROM of_kind
    GROUP BY
        of_kind.comparison, of_kind.model_version, of_kind.trained_on_synthetic, rollup (of_kind.joint_kind)
)

SELECT
    moments.comparison,
    moments.joint_kind,
    moments.n_pairs,
    moments.n_patients,
    moments.n_patients < 5 AS suppressed,
    CASE WHEN moments.n_patients >= 5 THEN moments.same_grade END AS same_grade,
    CASE WHEN moments.n_patients >= 5 THEN moments.within_one_grade END AS within_one_grade,
    CASE WHEN moments.n_patients >= 5 THEN 1 - moments.disagreement / nullif(moments.disagreement_by_chance, 0) END
        AS quadratic_weighted_kappa,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_grade_difference END AS mean_grade_difference,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_difference END AS mean_difference,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_difference - 1.96 * moments.sd_difference END AS loa_low,
    CASE WHEN moments.n_patients >= 5 THEN moments.mean_difference + 1.96 * moments.sd_difference END AS loa_high,
    moments.model_version,
    moments.trained_on_synthetic
FROM moments;

COMMENT ON VIEW analyst.agreement IS 'Agreement on the same joint of the same film, between two readings and between reading and champion, by kind of joint. Figures of fewer than 5 patients are suppressed.';
COMMENT ON COLUMN analyst.agreement.comparison IS 'human-human (two consultations) or human-model (a consultation and the champion).';
COMMENT ON COLUMN analyst.agreement.joint_kind IS 'PIP, MCP, IP (thumb, great toe), MTP, wrist, or all of them.';
COMMENT ON COLUMN analyst.agreement.n_pairs IS 'Number of pairs of grades.';
COMMENT ON COLUMN analyst.agreement.n_patients IS 'Number of patients behind them.';
COMMENT ON COLUMN analyst.agreement.suppressed IS 'True if there are fewer than 5 patients; the figures are null then.';
COMMENT ON COLUMN analyst.agreement.same_grade IS 'Share of pairs with the same Ratingen grade, 0-1.';
COMMENT ON COLUMN analyst.agreement.within_one_grade IS 'Share of pairs at most one grade apart, 0-1.';
COMMENT ON COLUMN analyst.agreement.quadratic_weighted_kappa IS 'Agreement of the grades beyond chance, weighted by squared distance, -1 to 1: 1 is perfect, 0 is chance; null if all grades are one.';
COMMENT ON COLUMN analyst.agreement.mean_grade_difference IS 'Mean of second minus first grade, in grades; human-model: above 0 the model sees more damage.';
COMMENT ON COLUMN analyst.agreement.mean_difference IS 'Mean of second minus first eroded share, percent of the joint surface.';
COMMENT ON COLUMN analyst.agreement.loa_low IS 'Lower limit of agreement of that difference, percent: mean - 1.96 SD; null for a single pair.';
COMMENT ON COLUMN analyst.agreement.loa_high IS 'Upper limit of agreement, percent: mean + 1.96 SD.';
COMMENT ON COLUMN analyst.agreement.model_version IS 'The champion; null for human-human.';
COMMENT ON COLUMN analyst.agreement.trained_on_synthetic IS 'True: the model was trained on synthetic phantoms; the figures say nothing about patients.';
