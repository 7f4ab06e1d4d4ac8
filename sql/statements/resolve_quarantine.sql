-- Title: Resolve quarantined rows
-- Description: Marks rows as resolved that this run accepted, or did not find again in a file that it read. Only the
-- current transaction counts, because an earlier attempt of the same run may have found more.
-- Parameters: run_id; row_keys of accepted rows; source_files that the run read.

UPDATE scoring.quarantine AS open_row
SET resolved_by_run = :run_id, resolved_at = now()
WHERE
    open_row.resolved_at IS NULL
    AND (
        (NOT open_row.kept AND open_row.row_key = any(:row_keys))
        OR (
            open_row.source_file = any(:source_files)
            AND NOT EXISTS (
                SELECT FROM scoring.run_quarantine AS found
                WHERE
                    found.run_id = :run_id
                    AND found.row_key = open_row.row_key
                    AND found.rule = open_row.rule
                    AND found.recorded_at = now()
            )
        )
    )
