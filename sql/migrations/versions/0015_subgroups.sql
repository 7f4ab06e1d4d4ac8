-- Title: Subgroups of a challenge
-- Description: The gate judges by side and exposure, too; the column is what it was.

COMMENT ON COLUMN scoring.challenge.subgroups IS 'For each kind of joint, side, exposure (thirds by mean brightness) and severity: joints and the mean distance in grades from the reading, of champion and challenger.';
