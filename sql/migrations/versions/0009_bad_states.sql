-- Title: Bad states made impossible
-- Description: What validation refuses, the tables refuse as well: a consultation or reading of somebody else's radiograph, a
-- prediction whose image is that of another joint, a Rau score of a radiograph that does not exist, grade probabilities that
-- are no distribution. Rows of an earlier release are kept as they are. A constraint that one of them breaks holds for
-- new rows only, and the migration warns of it.

ALTER TABLE registry.radiograph ADD CONSTRAINT radiograph_of_patient UNIQUE (sop_iuid, patient_id);

-- ON UPDATE CASCADE: a radiograph that the registry gives to another patient takes its consultations and readings along.
ALTER TABLE registry.consultation DROP CONSTRAINT consultation_sop_iuid_fkey;
ALTER TABLE registry.consultation ADD CONSTRAINT consultation_of_radiographs_patient
FOREIGN KEY (sop_iuid, patient_id) REFERENCES registry.radiograph (sop_iuid, patient_id)
ON UPDATE CASCADE NOT VALID;

ALTER TABLE registry.joint_reading DROP CONSTRAINT joint_reading_sop_iuid_fkey;
ALTER TABLE registry.joint_reading ADD CONSTRAINT joint_reading_of_radiographs_patient
FOREIGN KEY (sop_iuid, patient_id) REFERENCES registry.radiograph (sop_iuid, patient_id)
ON UPDATE CASCADE NOT VALID;

ALTER TABLE imaging.joint_image ADD CONSTRAINT joint_image_of_joint UNIQUE (image_sha256, sop_iuid, joint);
ALTER TABLE scoring.joint_prediction DROP CONSTRAINT joint_prediction_image_sha256_fkey;
ALTER TABLE scoring.joint_prediction DROP CONSTRAINT joint_prediction_sop_iuid_joint_fkey;
ALTER TABLE scoring.joint_prediction ADD CONSTRAINT joint_prediction_of_image
FOREIGN KEY (image_sha256, sop_iuid, joint) REFERENCES imaging.joint_image (image_sha256, sop_iuid, joint) NOT VALID;

ALTER TABLE scoring.joint_prediction ADD CONSTRAINT joint_prediction_is_distribution CHECK (
    0 <= all(grade_probability)
    AND 1 >= all(grade_probability)
    AND grade_probability[1] + grade_probability[2] + grade_probability[3]
    + grade_probability[4] + grade_probability[5] + grade_probability[6] BETWEEN 0.99 AND 1.01
) NOT VALID;

ALTER TABLE scoring.rau_prediction ADD COLUMN radiograph text GENERATED ALWAYS AS (nullif(sop_iuid, '')) STORED;
ALTER TABLE scoring.rau_prediction ADD CONSTRAINT rau_prediction_of_radiograph
FOREIGN KEY (radiograph) REFERENCES registry.radiograph (sop_iuid) NOT VALID;

COMMENT ON COLUMN scoring.rau_prediction.radiograph IS 'The radiograph, null for a visit: sop_iuid as a reference that must exist.';

DO $$
DECLARE
    added record;
BEGIN
    FOR added IN
        SELECT
            conname,
            conrelid::regclass AS of_table
        FROM pg_catalog.pg_constraint
        WHERE NOT convalidated
            AND conname IN (
                'consultation_of_radiographs_patient', 'joint_reading_of_radiographs_patient', 'joint_prediction_of_image',
                'joint_prediction_is_distribution', 'rau_prediction_of_radiograph'
            )
    LOOP
        BEGIN
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', added.of_table, added.conname);
        EXCEPTION
            WHEN foreign_key_violation OR check_violation THEN
                RAISE WARNING 'rows of an earlier release in % break %: they are kept, new ones are refused. Correct them, then run ALTER TABLE % VALIDATE CONSTRAINT %', added.of_table, added.conname, added.of_table, added.conname;
        END;
    END LOOP;
END
$$;
