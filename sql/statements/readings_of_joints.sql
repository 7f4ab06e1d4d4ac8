-- Title: Readings of accepted joint images
-- Description: One row per reading, the latest reading of a joint last. A reading counts from the batch that first
-- contained it until the batch that withdrew it. Corrected readings have their current values.
-- Parameters: cut_off, the newest batch to include.

SELECT
    image.image_sha256, image.uri, image.sop_iuid, image.joint,
    radiograph.patient_id, extract(YEAR FROM radiograph.visit_date)::integer AS year,
    reading.reading_percent, reading.read_on, reading.id_x
FROM imaging.joint_image AS image
INNER JOIN registry.radiograph ON image.sop_iuid = radiograph.sop_iuid
INNER JOIN registry.joint_reading AS reading ON image.sop_iuid = reading.sop_iuid AND image.joint = reading.joint
WHERE
    image.batch_date <= :cut_off
    AND reading.first_batch_date <= :cut_off
    AND (reading.withdrawn_on IS NULL OR reading.withdrawn_on > :cut_off)
ORDER BY
    radiograph.patient_id ASC, image.sop_iuid ASC, image.joint ASC, reading.read_on ASC NULLS FIRST, reading.id_x ASC
