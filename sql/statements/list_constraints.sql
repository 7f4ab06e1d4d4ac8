-- Title: Constraints of tables
-- Description: Keys and checks of the given schemas. Not-null constraints, which are listed only since PostgreSQL 18,
-- belong to the columns.
-- Parameters: schemas.

SELECT
    n.nspname AS schema_name, c.relname AS relation_name,
    CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key' ELSE 'check' END
        AS kind,
    array(
        SELECT cast(a.attname AS text)
        FROM unnest(k.conkey) WITH ORDINALITY AS part (attnum, place)
        INNER JOIN pg_catalog.pg_attribute AS a ON k.conrelid = a.attrelid AND part.attnum = a.attnum
        ORDER BY part.place
    ) AS column_names,
    pg_get_constraintdef(k.oid) AS definition,
    coalesce(tn.nspname || '.' || t.relname, '') AS referenced_table
FROM pg_catalog.pg_constraint AS k
INNER JOIN pg_catalog.pg_class AS c ON k.conrelid = c.oid
INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid
LEFT JOIN pg_catalog.pg_class AS t ON k.confrelid = t.oid
LEFT JOIN pg_catalog.pg_namespace AS tn ON t.relnamespace = tn.oid
WHERE
    n.nspname = any(:schemas)
    AND NOT c.relispartition
    AND k.contype IN ('p', 'u', 'f', 'c')
    -- A foreign key to a partitioned table has a hidden copy per partition.
    AND k.conparentid = 0
ORDER BY n.nspname, c.relname, position(k.contype IN 'pufc'), k.conname
