-- Title: Data quality of batches
-- Description: Measures of each batch and dataset as counts and proportions: rows received, accepted and quarantined,
-- by rule, from the last run of the batch that has row counts; and, of the records that the batch delivered first,
-- those that lack a value. The view shows the present state: a record that a later batch completed is complete here.
-- Counts are rows, not patients.

CREATE VIEW analyst.batch_quality AS
WITH last_run AS (
    SELECT DISTINCT ON (run.batch_date) run.batch_date, run.run_id
    FROM scoring.run
    WHERE
        run.job = 'nightly_scoring'
        AND EXISTS (
            SELECT FROM scoring.run_count
            WHERE run_count.run_id = run.run_id
        )
    ORDER BY run.batch_date ASC, run.started_at DESC
),

-- A repeated step has written its counts again; the latest ones apply.
counted AS (
    SELECT
        last_run.batch_date, run_count.dataset, run_count.outcome, run_count.rule, run_count.n,
        dense_rank()
            OVER (PARTITION BY run_count.run_id, run_count.dataset ORDER BY run_count.recorded_at DESC)
            AS recency
    FROM last_run
    INNER JOIN scoring.run_count ON last_run.run_id = run_count.run_id
),

received AS (
    SELECT
        counted.batch_date, counted.dataset,
        sum(counted.n) FILTER (WHERE counted.outcome = 'received') AS n,
        coalesce(sum(counted.n) FILTER (WHERE counted.outcome = 'quarantined'), 0) AS n_quarantined
    FROM counted
    WHERE counted.recency = 1
    GROUP BY counted.batch_date, counted.dataset
),

consultation AS (
    SELECT
        record.first_batch_date AS batch_date, count(*) AS n_records,
        count(*) FILTER (WHERE record.sop_iuid IS NULL) AS without_radiograph,
        count(*) FILTER (WHERE record.read_on IS NULL) AS without_date_of_reading,
        count(*) FILTER (WHERE record.reported_rau IS NULL) AS without_reported_rau,
        count(*) FILTER (
            WHERE NOT EXISTS (
                SELECT FROM registry.joint_reading
                WHERE joint_reading.id_x = record.id_x AND joint_reading.withdrawn_on IS NULL
            )
        ) AS without_readings
    FROM registry.consultation AS record
    GROUP BY record.first_batch_date
),

activity AS (
    SELECT
        record.first_batch_date AS batch_date, count(*) AS n_records,
        count(*) FILTER (WHERE record.tender_28 IS NULL) AS without_tender_28,
        count(*) FILTER (WHERE record.swollen_28 IS NULL) AS without_swollen_28,
        count(*) FILTER (WHERE record.esr IS NULL) AS without_esr,
        count(*) FILTER (WHERE record.crp IS NULL) AS without_crp,
        count(*) FILTER (WHERE record.patient_global IS NULL) AS without_patient_global,
        count(*) FILTER (WHERE record.physician_global IS NULL) AS without_physician_global,
        count(*) FILTER (
            WHERE coalesce(record.das28_esr4, record.das28_esr3, record.das28_crp4, record.das28_crp3) IS NULL
        ) AS without_computed_das28,
        count(*) FILTER (
            WHERE coalesce(
                record.das28_esr4, record.das28_esr3, record.das28_crp4, record.das28_crp3,
                record.das28_esr_reported, record.das28_crp3_reported
            ) IS NULL
        ) AS without_any_das28
    FROM registry.disease_activity AS record
    GROUP BY record.first_batch_date
),

image AS (
    SELECT
        record.batch_date, count(*) AS n_records,
        count(*) FILTER (
            WHERE NOT EXISTS (
                SELECT FROM registry.joint_reading
                WHERE
                    joint_reading.sop_iuid = record.sop_iuid
                    AND joint_reading.joint = record.joint
                    AND joint_reading.withdrawn_on IS NULL
            )
        ) AS without_reading,
        count(*) FILTER (
            WHERE NOT EXISTS (
                SELECT FROM scoring.joint_prediction
                WHERE joint_prediction.image_sha256 = record.image_sha256
            )
        ) AS without_prediction
    FROM imaging.joint_image AS record
    GROUP BY record.batch_date
),

measured AS (
    SELECT
        received.batch_date, received.dataset, outcome.measure, '' AS rule,
        outcome.n, received.n AS n_total
    FROM received
    CROSS JOIN
        LATERAL (
            VALUES
            ('received', received.n),
            ('accepted', received.n - received.n_quarantined),
            ('quarantined', received.n_quarantined)
        ) AS outcome (measure, n)
    UNION ALL
    SELECT
        counted.batch_date, counted.dataset, 'quarantined by rule' AS measure, counted.rule,
        counted.n, received.n AS n_total
    FROM counted
    INNER JOIN received ON counted.batch_date = received.batch_date AND counted.dataset = received.dataset
    WHERE counted.recency = 1 AND counted.rule <> ''
    UNION ALL
    SELECT
        consultation.batch_date, 'consultations' AS dataset, lacking.measure, '' AS rule,
        lacking.n, consultation.n_records AS n_total
    FROM consultation
    CROSS JOIN
        LATERAL (
            VALUES
            ('without radiograph', consultation.without_radiograph),
            ('without date of reading', consultation.without_date_of_reading),
            ('without reported Rau', consultation.without_reported_rau),
            ('without readings', consultation.without_readings)
        ) AS lacking (measure, n)
    UNION ALL
    SELECT
        activity.batch_date, 'disease_activity' AS dataset, lacking.measure, '' AS rule,
        lacking.n, activity.n_records AS n_total
    FROM activity
    CROSS JOIN
        LATERAL (
            VALUES
            ('without tender_28', activity.without_tender_28), ('without swollen_28', activity.without_swollen_28),
            ('without esr', activity.without_esr), ('without crp', activity.without_crp),
            ('without patient_global', activity.without_patient_global),
            ('without physician_global', activity.without_physician_global),
            ('without computed DAS28', activity.without_computed_das28),
            ('without any DAS28', activity.without_any_das28)
        ) AS lacking (measure, n)
    UNION ALL
    SELECT
        image.batch_date, 'images' AS dataset, lacking.measure, '' AS rule,
        lacking.n, image.n_records AS n_total
    FROM image
    CROSS JOIN LATERAL (
        VALUES ('without reading', image.without_reading), ('without prediction', image.without_prediction)
    ) AS lacking (measure, n)
)

SELECT
    measured.batch_date, measured.dataset, measured.measure, nullif(measured.rule, '') AS rule,
    measured.n::bigint AS n, measured.n_total::bigint AS n_total,
    measured.n / nullif(measured.n_total, 0)::double precision AS proportion
FROM measured;

COMMENT ON VIEW analyst.batch_quality IS 'Rows received, accepted and quarantined, and missing values: one row per batch, dataset, measure and rule.';
COMMENT ON COLUMN analyst.batch_quality.batch_date IS 'Date of the batch (landing folder).';
COMMENT ON COLUMN analyst.batch_quality.measure IS 'received, accepted, quarantined, quarantined by rule, or without VALUE for a missing value.';
COMMENT ON COLUMN analyst.batch_quality.rule IS 'First critical rule that the rows broke; only for quarantined by rule.';
COMMENT ON COLUMN analyst.batch_quality.n IS 'Number of rows (images: files) to which the measure applies.';
COMMENT ON COLUMN analyst.batch_quality.n_total IS 'Number of rows received; for missing values, number of records first delivered in this batch.';
COMMENT ON COLUMN analyst.batch_quality.proportion IS 'n / n_total, 0-1; null if n_total is 0.';
