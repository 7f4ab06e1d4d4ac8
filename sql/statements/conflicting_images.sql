-- Title: Images that conflict with published ones
-- Description: Files for a joint that has another image, or with the bytes of another joint's image. This happens if
-- another run has published since the batch was validated.
-- Parameters: source_files, sop_iuids, joints, sha256s: arrays with one element per image.

SELECT DISTINCT accepted.source_file
FROM
    unnest(cast(:source_files AS text[]), cast(:sop_iuids AS text[]), cast(:joints AS text[]), cast(:sha256s AS text[]))
        AS accepted (source_file, sop_iuid, joint, sha256)
LEFT JOIN imaging.joint_image AS same_joint
    ON accepted.sop_iuid = same_joint.sop_iuid AND accepted.joint = same_joint.joint
LEFT JOIN imaging.joint_image AS same_bytes ON accepted.sha256 = same_bytes.image_sha256
WHERE
    same_joint.image_sha256 <> accepted.sha256
    OR (same_bytes.sop_iuid, same_bytes.joint) <> (accepted.sop_iuid, accepted.joint)
ORDER BY accepted.source_file
