-- Title: Comments of columns that several views share
-- Description: A column of a view without a comment of its own takes the comment of the same column in the table of
-- schema analytics with the same name, or else the one listed here. The views keep a comment only where the meaning
-- differs.

DO $$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT
            shown.relname AS view_name,
            shown_column.attname AS column_name,
            coalesce(col_description(source.oid, source_column.attnum), shared.comment_text) AS comment_text
        FROM pg_catalog.pg_class AS shown
        INNER JOIN pg_catalog.pg_attribute AS shown_column
            ON shown_column.attrelid = shown.oid AND col_description(shown.oid, shown_column.attnum) IS NULL
        LEFT JOIN pg_catalog.pg_class AS source
            ON source.relnamespace = 'analytics'::regnamespace AND source.relname = shown.relname
        LEFT JOIN pg_catalog.pg_attribute AS source_column
            ON source_column.attrelid = source.oid AND source_column.attname = shown_column.attname
        LEFT JOIN (
            VALUES
                ('activity', 'Form of DAS28: das28_esr4 or das28_esr3 (erythrocyte sedimentation rate, four or three variables), das28_crp4 or das28_crp3 (C-reactive protein).'),
                ('architecture', 'Name of the network architecture.'),
                ('batch_date', 'Newest batch that delivered or changed the values.'),
                ('body_part', 'Body part as named by the registry.'),
                ('code_revision', 'Software revision of the run.'),
                ('damage', 'reported_rau (by readers) or predicted_rau (by the model), 0-190 points; the two are never mixed in one series.'),
                ('das28_crp3', 'Three-variable DAS28-CRP, 0-10: computed, otherwise reported (das283crp_score).'),
                ('das28_crp3_origin', 'computed or reported; null if there is no value.'),
                ('das28_crp4', 'Four-variable DAS28-CRP, 0-10, computed.'),
                ('das28_esr3', 'Three-variable DAS28-ESR, 0-10, computed.'),
                ('das28_esr4', 'Four-variable DAS28-ESR, 0-10: computed, otherwise reported (das28bsr_score).'),
                ('das28_esr4_origin', 'computed or reported; null if there is no value.'),
                ('dataset', 'consultations, readings, disease_activity or images.'),
                ('extrapolated', 'True if fewer than 32 joints were scored.'),
                ('from_date', 'Date of the earlier visit.'),
                ('image_sha256', 'SHA-256 of the image file, in hex.'),
                ('image_uri', 'Location of the image when it was accepted.'),
                ('is_champion', 'True if the model is the current champion; use it as a filter.'),
                ('job', 'Job: nightly_scoring, rescoring or retraining.'),
                ('joint', 'Joint, named after its registry column, such as hand_left_2 (MCP5).'),
                ('model_version', 'Model that made the prediction: the champion; null if there is no prediction.'),
                ('n_radiographs', 'Number of radiographs of the visit; 0 if a score was reported without naming one.'),
                ('n_scored', 'Number of scored joints.'),
                ('patient_global', 'Patient''s global assessment, 0-100 mm.'),
                ('patient_id', 'Patient pseudonym from the registry.'),
                ('physician_global', 'Physician''s global assessment, 0-100 mm.'),
                ('predicted_grade', 'Predicted Ratingen grade, 0-5, by the read-out rule of the model; not necessarily the grade of predicted_percent.'),
                ('predicted_percent', 'Expected eroded share of the joint surface, percent; null if the joint was not scored.'),
                ('predicted_q05', 'Lower end of the calibrated 90 % interval, percent; not necessarily the 5 % quantile.'),
                ('predicted_q95', 'Upper end of the calibrated 90 % interval, percent; not necessarily the 95 % quantile.'),
                ('preprocessing_version', 'Version of the image preprocessing.'),
                ('rau_expected', 'Expected Rau score, 0-190 points; null, never 0, if no joint was scored.'),
                ('rau_from_grades', 'Rau score of the predicted grades, points.'),
                ('rau_median', 'Median of the distribution of the Rau score, points.'),
                ('rau_q05', 'Lower end of the 90 % interval, points.'),
                ('rau_q95', 'Upper end of the 90 % interval, points.'),
                ('reading_grade', 'Ratingen grade of the reading, 0-5.'),
                ('reported_rau', 'Rau score of the latest consultation of the visit that reports one, 0-190 points.'),
                ('run_id', 'Run that wrote or last changed the row.'),
                ('scored_at', 'Time at which the prediction was written or last changed.'),
                ('sop_iuid', 'SOP instance UID of the radiograph.'),
                ('suppressed', 'True if there are fewer than 5 patients; the values are then null.'),
                ('to_date', 'Date of the later visit.'),
                ('trained_on_synthetic', 'True if the model was trained on synthetic phantoms; its predictions then say nothing about patients.'),
                ('trigger', 'Run id of the scheduler, or cli.'),
                ('triggered_by', 'User name, schedule or backfill.'),
                ('visit_date', 'Date of the visit.'),
                ('weights_sha256', 'SHA-256 of the weights file, in hex.'),
                ('years', 'Time between the two visits, in years of 365.25 days.')
        ) AS shared (column_name, comment_text) ON shared.column_name = shown_column.attname
        WHERE
            shown.relnamespace = 'analyst'::regnamespace
            AND shown.relkind = 'v'
            AND shown.relowner = 'scoring_owner'::regrole
    LOOP
        EXECUTE format(
            'COMMENT ON COLUMN analyst.%I.%I IS %L',
            described.view_name, described.column_name, described.comment_text
        );
    END LOOP;
END
$$;
