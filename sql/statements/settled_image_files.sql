-- Title: Image files that need no further check
-- Description: Files that were accepted before, or quarantined only by rules that another check of the same bytes
-- cannot change.
-- Parameters: sha256s; lasting_rules.

SELECT batch_date || '/joints/' || file_name AS source_file, image_sha256 AS sha256
FROM imaging.joint_image
WHERE image_sha256 = any(:sha256s)
UNION ALL
SELECT source_file, content_sha256 AS sha256
FROM scoring.quarantine
WHERE content_sha256 = any(:sha256s) AND NOT kept AND resolved_at IS NULL
GROUP BY source_file, content_sha256
HAVING bool_and(rule = any(:lasting_rules))
