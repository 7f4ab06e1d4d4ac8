-- Title: Joint images and predictions
-- Description: A prediction belongs to the bytes of an image, to a model and to a way of preparing the image; a new
-- model adds rows and never overwrites. The network gives a distribution over the eroded share of the joint surface;
-- mean, median, quantiles and the probability of each grade are read out of it.
--   Rau score: sum of the grades * 38 / number of scored joints, 0-190 (Rau & Wassenberg, in: Bildgebende Verfahren in
--   der Rheumatologie, 2007). With fewer than the usual 32 joints it is an extrapolation and says so.

CREATE TABLE imaging.joint_image (
    sop_iuid text NOT NULL REFERENCES registry.radiograph (sop_iuid),
    joint text NOT NULL CHECK (joint <> ''),
    image_sha256 text NOT NULL UNIQUE CHECK (image_sha256 ~ '^[0-9a-f]{64}$'),
    file_name text NOT NULL,
    uri text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    width integer NOT NULL CHECK (width > 0),
    height integer NOT NULL CHECK (height > 0),
    color_space text NOT NULL,
    brightness real NOT NULL CHECK (brightness BETWEEN 0 AND 255),
    contrast real NOT NULL CHECK (contrast >= 0),
    batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sop_iuid, joint)
);

COMMENT ON TABLE imaging.joint_image IS 'One image of one joint, cut out of a radiograph by the extractor.';
COMMENT ON COLUMN imaging.joint_image.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN imaging.joint_image.joint IS 'The joint, by its registry column.';
COMMENT ON COLUMN imaging.joint_image.image_sha256 IS 'SHA-256 of the file''s bytes, in hex; names the image everywhere.';
COMMENT ON COLUMN imaging.joint_image.file_name IS 'Name of the file as it landed.';
COMMENT ON COLUMN imaging.joint_image.uri IS 'Where the file was found.';
COMMENT ON COLUMN imaging.joint_image.size_bytes IS 'Size of the file, in bytes.';
COMMENT ON COLUMN imaging.joint_image.width IS 'Width, in pixels.';
COMMENT ON COLUMN imaging.joint_image.height IS 'Height, in pixels.';
COMMENT ON COLUMN imaging.joint_image.color_space IS 'Colour space of the file: Gray, YCbCr, RGB.';
COMMENT ON COLUMN imaging.joint_image.brightness IS 'Mean grey value, 0-255.';
COMMENT ON COLUMN imaging.joint_image.contrast IS 'Standard deviation of the grey values.';
COMMENT ON COLUMN imaging.joint_image.batch_date IS 'Landing folder in which the image was found.';
COMMENT ON COLUMN imaging.joint_image.run_id IS 'Run that first accepted the image.';
COMMENT ON COLUMN imaging.joint_image.first_seen_at IS 'When that run wrote it down.';

CREATE TABLE scoring.joint_prediction (
    image_sha256 text NOT NULL REFERENCES imaging.joint_image (image_sha256),
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    preprocessing_version text NOT NULL,
    sop_iuid text NOT NULL,
    joint text NOT NULL,
    predicted_percent real NOT NULL CHECK (predicted_percent BETWEEN 0 AND 100),
    predicted_median real NOT NULL CHECK (predicted_median BETWEEN 0 AND 100),
    predicted_q05 real NOT NULL CHECK (predicted_q05 BETWEEN 0 AND 100),
    predicted_q95 real NOT NULL CHECK (predicted_q95 BETWEEN 0 AND 100),
    predicted_grade smallint NOT NULL CHECK (predicted_grade BETWEEN 0 AND 5),
    grade_probability real[] NOT NULL CHECK (array_length(grade_probability, 1) = 6),
    engine text NOT NULL,
    code_revision text NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    batch_date date NOT NULL,
    scored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image_sha256, model_version, preprocessing_version),
    FOREIGN KEY (sop_iuid, joint) REFERENCES imaging.joint_image (sop_iuid, joint),
    CHECK (predicted_q05 <= predicted_median AND predicted_median <= predicted_q95)
);

CREATE INDEX joint_prediction_by_joint ON scoring.joint_prediction (sop_iuid, joint, model_version);
CREATE INDEX joint_prediction_by_batch ON scoring.joint_prediction (model_version, batch_date);

COMMENT ON TABLE scoring.joint_prediction IS 'What one model says about one joint image. Append-only: a new model adds rows.';
COMMENT ON COLUMN scoring.joint_prediction.image_sha256 IS 'SHA-256 of the bytes that were scored.';
COMMENT ON COLUMN scoring.joint_prediction.model_version IS 'The model.';
COMMENT ON COLUMN scoring.joint_prediction.preprocessing_version IS 'How the bytes became the network''s input.';
COMMENT ON COLUMN scoring.joint_prediction.sop_iuid IS 'The radiograph.';
COMMENT ON COLUMN scoring.joint_prediction.joint IS 'The joint, by its registry column.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_percent IS 'Expected share of the joint surface that is eroded, in percent.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_median IS 'Median of the predicted distribution, in percent.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_q05 IS '5 % quantile of the predicted distribution, in percent.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_q95 IS '95 % quantile of the predicted distribution, in percent.';
COMMENT ON COLUMN scoring.joint_prediction.predicted_grade IS 'Ratingen grade 0-5 of predicted_percent; below 1 % reads as 0.';
COMMENT ON COLUMN scoring.joint_prediction.grade_probability IS 'Probability of grades 0 to 5, in this order; [1] is grade 0.';
COMMENT ON COLUMN scoring.joint_prediction.engine IS 'What ran the network, and how precisely: openvino/float32, openvino/bfloat16, tensorflow/float32.';
COMMENT ON COLUMN scoring.joint_prediction.code_revision IS 'Revision of this software.';
COMMENT ON COLUMN scoring.joint_prediction.run_id IS 'Run that scored the image.';
COMMENT ON COLUMN scoring.joint_prediction.batch_date IS 'Night of that run.';
COMMENT ON COLUMN scoring.joint_prediction.scored_at IS 'When the prediction was written.';

CREATE TABLE scoring.rau_prediction (
    scope text NOT NULL CHECK (scope IN ('radiograph', 'visit')),
    patient_id text NOT NULL CHECK (patient_id <> ''),
    visit_date date NOT NULL,
    sop_iuid text NOT NULL,
    model_version text NOT NULL REFERENCES scoring.model_version (version),
    preprocessing_version text NOT NULL,
    rau_expected double precision NOT NULL CHECK (rau_expected BETWEEN 0 AND 190),
    rau_median double precision NOT NULL CHECK (rau_median BETWEEN 0 AND 190),
    rau_q05 double precision NOT NULL CHECK (rau_q05 BETWEEN 0 AND 190),
    rau_q95 double precision NOT NULL CHECK (rau_q95 BETWEEN 0 AND 190),
    rau_from_grades double precision NOT NULL CHECK (rau_from_grades BETWEEN 0 AND 190),
    n_scored smallint NOT NULL CHECK (n_scored BETWEEN 1 AND 38),
    extrapolated boolean NOT NULL GENERATED ALWAYS AS (n_scored < 32) STORED,
    batch_date date NOT NULL,
    first_batch_date date NOT NULL,
    run_id uuid NOT NULL REFERENCES scoring.run (run_id),
    scored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version),
    CHECK (rau_q05 <= rau_median AND rau_median <= rau_q95),
    CHECK ((scope = 'visit') = (sop_iuid = '')),
    CHECK (first_batch_date <= batch_date)
);

CREATE INDEX rau_prediction_by_model ON scoring.rau_prediction (model_version, scope, patient_id, visit_date);
CREATE INDEX rau_prediction_by_radiograph ON scoring.rau_prediction (sop_iuid) WHERE scope = 'radiograph';

COMMENT ON TABLE scoring.rau_prediction IS 'Rau score predicted from the joints of one radiograph, or of all radiographs of one visit. Rows of a visit that its radiographs have left stay; the views leave them out.';
COMMENT ON COLUMN scoring.rau_prediction.scope IS 'radiograph or visit.';
COMMENT ON COLUMN scoring.rau_prediction.patient_id IS 'The registry''s pseudonym of the patient.';
COMMENT ON COLUMN scoring.rau_prediction.visit_date IS 'Date of the visit.';
COMMENT ON COLUMN scoring.rau_prediction.sop_iuid IS 'The radiograph; empty for a visit.';
COMMENT ON COLUMN scoring.rau_prediction.model_version IS 'The model behind the joints.';
COMMENT ON COLUMN scoring.rau_prediction.preprocessing_version IS 'How the bytes became the network''s input.';
COMMENT ON COLUMN scoring.rau_prediction.rau_expected IS 'Expected Rau score, 0-190 points.';
COMMENT ON COLUMN scoring.rau_prediction.rau_median IS 'Median of the Rau score''s distribution, in points.';
COMMENT ON COLUMN scoring.rau_prediction.rau_q05 IS '5 % quantile, in points, from the convolution of the joints'' grade distributions.';
COMMENT ON COLUMN scoring.rau_prediction.rau_q95 IS '95 % quantile, in points.';
COMMENT ON COLUMN scoring.rau_prediction.rau_from_grades IS 'Rau score of the predicted grades: sum * 38 / n_scored, in points.';
COMMENT ON COLUMN scoring.rau_prediction.n_scored IS 'Number of joints that were scored.';
COMMENT ON COLUMN scoring.rau_prediction.extrapolated IS 'True if fewer than the usual 32 joints were scored.';
COMMENT ON COLUMN scoring.rau_prediction.batch_date IS 'Night of the run that last changed the row.';
COMMENT ON COLUMN scoring.rau_prediction.first_batch_date IS 'First night in which this radiograph or visit had a prediction.';
COMMENT ON COLUMN scoring.rau_prediction.run_id IS 'Run that last changed the row.';
COMMENT ON COLUMN scoring.rau_prediction.scored_at IS 'When it was changed.';
