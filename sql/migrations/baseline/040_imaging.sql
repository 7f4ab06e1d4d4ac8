-- Title: Joint images
-- Description: Images of single joints, cut out of the radiographs by the upstream extractor. The SHA-256 of its bytes
-- identifies an image everywhere.

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
    PRIMARY KEY (sop_iuid, joint),
    -- Target of the foreign key that ties a prediction to the joint of its image.
    UNIQUE (image_sha256, sop_iuid, joint)
);

CREATE INDEX joint_image_by_batch ON imaging.joint_image (batch_date);

COMMENT ON TABLE imaging.joint_image IS 'Accepted joint images: one row per radiograph and joint.';
COMMENT ON COLUMN imaging.joint_image.sop_iuid IS 'SOP instance UID of the radiograph.';
COMMENT ON COLUMN imaging.joint_image.joint IS 'Joint, named after its registry column.';
COMMENT ON COLUMN imaging.joint_image.image_sha256 IS 'SHA-256 of the image file, in hex.';
COMMENT ON COLUMN imaging.joint_image.file_name IS 'File name as received.';
COMMENT ON COLUMN imaging.joint_image.uri IS 'Location of the file when it was accepted.';
COMMENT ON COLUMN imaging.joint_image.size_bytes IS 'File size, in bytes.';
COMMENT ON COLUMN imaging.joint_image.width IS 'Width, in pixels.';
COMMENT ON COLUMN imaging.joint_image.height IS 'Height, in pixels.';
COMMENT ON COLUMN imaging.joint_image.color_space IS 'Colour space of the file: Gray, YCbCr or RGB.';
COMMENT ON COLUMN imaging.joint_image.brightness IS 'Mean grey value, 0-255.';
COMMENT ON COLUMN imaging.joint_image.contrast IS 'Standard deviation of the grey values.';
COMMENT ON COLUMN imaging.joint_image.batch_date IS 'Batch that contained the image.';
COMMENT ON COLUMN imaging.joint_image.run_id IS 'Run that first accepted the image.';
COMMENT ON COLUMN imaging.joint_image.first_seen_at IS 'Time at which the image was first accepted.';
