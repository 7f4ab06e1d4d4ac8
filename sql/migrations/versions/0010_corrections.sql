-- Title: Corrections of the registry's records, and the normal distribution
-- Description: The registry corrects what it once sent. The tables hold what the newest folder says; what that replaced
-- is kept here, written by a trigger, so that no way of writing can forget it. A value as of a folder D is `was` of the
-- first correction with replaced_in after D that names the column, and without one what the table holds. What a folder
-- says that is read after a newer one was never in the tables, so it is not kept.

CREATE TABLE registry.correction (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dataset text NOT NULL CHECK (dataset IN ('radiograph', 'consultation', 'joint_reading', 'disease_activity')),
    record_key text[] NOT NULL,
    patient_id text NOT NULL CHECK (patient_id <> ''),
    was jsonb NOT NULL,
    became jsonb NOT NULL,
    batch_date date NOT NULL,
    replaced_in date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    corrected_at timestamptz NOT NULL DEFAULT now(),
    CHECK (batch_date <= replaced_in)
);

CREATE INDEX correction_by_record ON registry.correction (dataset, record_key, replaced_in);
CREATE INDEX correction_by_patient ON registry.correction (patient_id);

COMMENT ON TABLE registry.correction IS 'Values of the registry that a newer folder replaced. Append-only, written by triggers.';
COMMENT ON COLUMN registry.correction.correction_id IS 'Running number.';
COMMENT ON COLUMN registry.correction.dataset IS 'Table of schema registry whose row was changed.';
COMMENT ON COLUMN registry.correction.record_key IS 'Key of the row, in the order of the table''s primary key.';
COMMENT ON COLUMN registry.correction.patient_id IS 'The registry''s pseudonym of the patient, after the correction.';
COMMENT ON COLUMN registry.correction.was IS 'The columns that changed with their old values, in the units of the table.';
COMMENT ON COLUMN registry.correction.became IS 'The same columns with their new values.';
COMMENT ON COLUMN registry.correction.batch_date IS 'Newest landing folder that had delivered the old values.';
COMMENT ON COLUMN registry.correction.replaced_in IS 'Landing folder that brought the new ones.';
COMMENT ON COLUMN registry.correction.run_id IS 'Run that wrote the new ones.';
COMMENT ON COLUMN registry.correction.corrected_at IS 'When.';

CREATE FUNCTION registry.keep_corrected() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO registry.correction (dataset, record_key, patient_id, was, became, batch_date, replaced_in, run_id)
    SELECT
        TG_TABLE_NAME,
        ARRAY(
            SELECT to_jsonb(NEW) ->> name
            FROM unnest(TG_ARGV) WITH ORDINALITY AS key_column (name, place)
            ORDER BY place
        ),
        NEW.patient_id,
        jsonb_object_agg(old_value.key, old_value.value),
        jsonb_object_agg(old_value.key, new_value.value),
        OLD.batch_date,
        NEW.batch_date,
        NEW.run_id
    FROM jsonb_each(to_jsonb(OLD)) AS old_value
    INNER JOIN jsonb_each(to_jsonb(NEW)) AS new_value ON old_value.key = new_value.key
    WHERE old_value.value <> new_value.value
        AND old_value.key NOT IN ('batch_date', 'first_batch_date', 'run_id', 'source_file', 'row_number');
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION registry.keep_corrected() IS
'Writes the columns that an update changed to registry.correction; its arguments are the columns of the table''s key.';

CREATE TRIGGER keep_corrected AFTER UPDATE ON registry.radiograph
FOR EACH ROW
WHEN ((old.patient_id, old.visit_date, old.body_part) IS DISTINCT FROM (new.patient_id, new.visit_date, new.body_part))
EXECUTE FUNCTION registry.keep_corrected('sop_iuid');

CREATE TRIGGER keep_corrected AFTER UPDATE ON registry.consultation
FOR EACH ROW
WHEN (
    (old.patient_id, old.visit_date, old.read_on, old.sop_iuid, old.body_part, old.reported_rau)
    IS DISTINCT FROM (new.patient_id, new.visit_date, new.read_on, new.sop_iuid, new.body_part, new.reported_rau)
)
EXECUTE FUNCTION registry.keep_corrected('id_x');

-- A reading that a newer folder lacks is marked in withdrawn_on; that is no correction of its value.
CREATE TRIGGER keep_corrected AFTER UPDATE ON registry.joint_reading
FOR EACH ROW
WHEN (
    (old.sop_iuid, old.patient_id, old.reading_percent, old.read_on)
    IS DISTINCT FROM (new.sop_iuid, new.patient_id, new.reading_percent, new.read_on)
)
EXECUTE FUNCTION registry.keep_corrected('id_x', 'joint');

CREATE TRIGGER keep_corrected AFTER UPDATE ON registry.disease_activity
FOR EACH ROW
WHEN (
    (
        old.physician_global, old.patient_global, old.das28_esr_reported, old.das28_crp3_reported,
        old.swollen_28, old.tender_28, old.esr, old.crp,
        old.das28_esr4, old.das28_esr3, old.das28_crp4, old.das28_crp3
    ) IS DISTINCT FROM (
        new.physician_global, new.patient_global, new.das28_esr_reported, new.das28_crp3_reported,
        new.swollen_28, new.tender_28, new.esr, new.crp,
        new.das28_esr4, new.das28_esr3, new.das28_crp4, new.das28_crp3
    )
)
EXECUTE FUNCTION registry.keep_corrected('patient_id', 'visit_date');

-- PostgreSQL has erf() from version 16 on only. Abramowitz M, Stegun IA. Handbook of Mathematical Functions, 1964,
-- 26.2.17: the error is below 7.5e-8. Beyond 8 standard deviations the value is 0 or 1 to more digits than that.
CREATE FUNCTION analytics.normal_cdf(z double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    x CONSTANT double precision := least(abs(z), 8);
    t CONSTANT double precision := 1 / (1 + 0.2316419 * x);
    upper_tail CONSTANT double precision := exp(-x * x / 2) / sqrt(2 * pi()) * t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    );
BEGIN
    RETURN CASE WHEN z > 0 THEN 1 - upper_tail ELSE upper_tail END;
END
$$;

COMMENT ON FUNCTION analytics.normal_cdf(double precision) IS
'Probability that a standard normal value is at most z; error below 7.5e-8.';

-- What came in which night: analyst.batch_quality.
CREATE INDEX joint_image_by_night ON imaging.joint_image (batch_date);
CREATE INDEX consultation_by_first_night ON registry.consultation (first_batch_date);
CREATE INDEX disease_activity_by_first_night ON registry.disease_activity (first_batch_date);
