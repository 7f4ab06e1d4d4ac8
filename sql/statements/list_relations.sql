-- Title: Tables and views
-- Description: Tables and views of the given schemas with their comments; partitions are not listed.
-- Parameters: schemas.

SELECT
    n.nspname AS schema_name, c.relname AS relation_name,
    CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END AS kind,
    coalesce(obj_description(c.oid, 'pg_class'), '') AS comment_text
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = any(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
