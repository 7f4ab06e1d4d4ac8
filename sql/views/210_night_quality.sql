-- Title: Data quality of every night
-- Description: For each landing folder and dataset, one row a measure with its proportion: what landed and what was
-- accepted or quarantined, by rule (from the books of the night's last run that kept any), and of the records that the
-- folder was the first to name, how many lack something. A record that a later folder completed is complete here: the
-- view says what the warehouse holds today. Counts are rows, not patients.

CREATE VIEW analyst.batch_quality AS
WITH last_run AS (
    SELECT DISTINCT ON (run.batch_date)
        run.batch_date AS night,
        run.run_id
    FROM scoring.run
    WHERE
        run.job = 'nightly_scoring'
        AND EXISTS (
            SELECT FROM scoring.run_count
            WHERE run_count.run_id = run.run_id
        )
    ORDER BY run.batch_date ASC, run.started_at DESC
),

-- A step that was cleared and run again has written its books again: the last ones count.
book AS (
    SELECT
        last_run.night,
        run_count.dataset,
        run_count.outcome,
        run_count.rule,
        run_count.n,
        dense_rank()
            OVER (PARTITION BY run_count.run_id, run_count.dataset ORDER BY run_count.recorded_at DESC)
            AS place
    FROM last_run
    INNER JOIN scoring.run_count ON last_run.run_id = run_count.run_id
),

landed AS (
    SELECT
        book.night,
        book.dataset,
        sum(book.n) FILTER (WHERE book.outcome = 'landed') AS landed,
        coalesce(sum(book.n) FILTER (WHERE book.outcome = 'quarantined'), 0) AS quarantined
    FROM book
    WHERE book.place = 1
    GROUP BY book.night, book.dataset
),

consultation AS (
    SELECT
        record.first_batch_date AS night,
        count(*) AS n_records,
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
        record.first_batch_date AS night,
        count(*) AS n_records,
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
        record.batch_date AS night,
        count(*) AS n_records,
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
        landed.night,
        landed.dataset,
        books.measure,
        '' AS rule,
        books.n,
        landed.landed AS n_of
    FROM landed
    CROSS JOIN
        LATERAL (
            VALUES
            ('landed', landed.landed),
            ('accepted', landed.landed - landed.quarantined),
            ('quarantined', landed.quarantined)
        ) AS books (measure, n)
    UNION ALL
    SELECT
        book.night,
        book.dataset,
        'quarantined by rule' AS measure,
        book.rule,
        book.n,
        landed.landed AS n_of
    FROM book
    INNER JOIN landed ON book.night = landed.night AND book.dataset = landed.dataset
    WHERE
        book.place = 1
        AND book.rule <> ''
    UNION ALL
    SELECT
        consultation.night,
        'consultations' AS dataset,
        lacking.measure,
        '' AS rule,
        lacking.n,
        consultation.n_records AS n_of
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
        activity.night,
        'disease_activity' AS dataset,
        lacking.measure,
        '' AS rule,
        lacking.n,
        activity.n_records AS n_of
    FROM activity
    CROSS JOIN
        LATERAL (
            VALUES
            ('without tender_28', activity.without_tender_28),
            ('without swollen_28', activity.without_swollen_28),
            ('without esr', activity.without_esr),
            ('without crp', activity.without_crp),
            ('without patient_global', activity.without_patient_global),
            ('without physician_global', activity.without_physician_global),
            ('without computed DAS28', activity.without_computed_das28),
            ('without any DAS28', activity.without_any_das28)
        ) AS lacking (measure, n)
    UNION ALL
    SELECT
        image.night,
        'images' AS dataset,
        lacking.measure,
        '' AS rule,
        lacking.n,
        image.n_records AS n_of
    FROM image
    CROSS JOIN LATERAL (
        VALUES
        ('without reading', image.without_reading),
        ('without prediction', image.without_prediction)
    ) AS lacking (measure, n)
)

SELECT
    measured.night,
    measured.dataset,
    measured.measure,
    nullif(measured.rule, '') AS rule,
    measured.n::bigint AS n,
    measured.n_of::bigint AS n_of,
    measured.n / nullif(measured.n_of, 0)::double precision AS proportion
FROM measured;

COMMENT ON VIEW analyst.batch_quality IS 'What each night''s folder brought and what its records lack, one row a night, dataset and measure.';
COMMENT ON COLUMN analyst.batch_quality.night IS 'Date of the landing folder.';
COMMENT ON COLUMN analyst.batch_quality.dataset IS 'consultations, readings, disease_activity or images.';
COMMENT ON COLUMN analyst.batch_quality.measure IS 'landed, accepted, quarantined, quarantined by rule; or what records of the night lack: without ...';
COMMENT ON COLUMN analyst.batch_quality.rule IS 'The first critical rule that the rows broke; only for quarantined by rule.';
COMMENT ON COLUMN analyst.batch_quality.n IS 'Number of rows (images: files) to which the measure applies.';
COMMENT ON COLUMN analyst.batch_quality.n_of IS 'Of how many: rows that landed, or records that this folder was the first to name.';
COMMENT ON COLUMN analyst.batch_quality.proportion IS 'n / n_of, 0-1; null if there are none.';
