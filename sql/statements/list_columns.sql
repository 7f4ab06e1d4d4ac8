-- Title: Columns of tables and views
-- Description: Columns of the given schemas in their order. filled is identity, generated, the default, or empty.
-- Parameters: schemas.

SELECT
    n.nspname AS schema_name, c.relname AS relation_name, a.attname AS column_name,
    format_type(a.atttypid, a.atttypmod) AS data_type, NOT a.attnotnull AS nullable,
    coalesce(col_description(c.oid, a.attnum), '') AS comment_text,
    CASE
        WHEN a.attidentity <> '' THEN 'identity'
        WHEN a.attgenerated <> '' THEN 'generated'
        WHEN a.atthasdef THEN 'default ' || pg_get_expr(d.adbin, d.adrelid)
        ELSE ''
    END AS filled
FROM pg_catalog.pg_class AS c
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_catalog.pg_attribute AS a ON c.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON c.oid = d.adrelid AND a.attnum = d.adnum
WHERE n.nspname = any(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
ORDER BY n.nspname, c.relname, a.attnum
