-- Title: Roles of the warehouse and the schema that remembers its migrations
-- Description: Runs before every migration, as the role that migrates, and changes nothing the second time.
--   scoring_owner    owns every object; nobody works as it but `scoring migrate`
--   scoring_job      the nightly job: reads and writes rows, changes no structure, deletes nothing
--   scoring_analyst  people: reads the views of schema analyst
-- They are groups without a login. A hospital grants them to its own login roles:
--   GRANT scoring_job TO airflow_worker; GRANT scoring_analyst TO jane;
-- Settings of a role reach only those who log in as that very role, so repeat them for each person:
--   ALTER ROLE jane SET statement_timeout = '60s'; ALTER ROLE jane SET default_transaction_read_only = on;
--   ALTER ROLE jane SET work_mem = '32MB';

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['scoring_owner', 'scoring_job', 'scoring_analyst'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            -- From PostgreSQL 16 on, who creates a role may not act as it unless told so.
            IF wanted = 'scoring_owner' THEN
                EXECUTE format('GRANT scoring_owner TO %I', current_user);
            END IF;
        EXCEPTION
            -- Roles belong to the cluster: another database of it may be migrating right now.
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END
$$;

DO $$
BEGIN
    -- The owner creates the schemas.
    IF NOT has_database_privilege('scoring_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO scoring_owner', current_database());
    END IF;
    -- The job loads by COPY into temporary tables.
    -- Asked one by one: of a list, has_database_privilege is content with any.
    IF NOT (
        has_database_privilege('scoring_job', current_database(), 'CONNECT')
        AND has_database_privilege('scoring_job', current_database(), 'TEMP')
    ) THEN
        EXECUTE format('GRANT CONNECT, TEMP ON DATABASE %I TO scoring_job', current_database());
    END IF;
    IF NOT has_database_privilege('scoring_analyst', current_database(), 'CONNECT') THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO scoring_analyst', current_database());
    END IF;
    IF to_regnamespace('scoring') IS NULL THEN
        CREATE SCHEMA scoring AUTHORIZATION scoring_owner;
    END IF;
END
$$;

-- Up to PostgreSQL 14, and in databases that were upgraded from it, everybody may create tables in schema public.
DO $$
DECLARE
    anybody_creates CONSTANT text := $query$
        SELECT EXISTS (
            SELECT
            FROM pg_catalog.pg_namespace AS n
            CROSS JOIN LATERAL aclexplode(n.nspacl) AS granted
            WHERE n.nspname = 'public' AND granted.grantee = 0 AND granted.privilege_type = 'CREATE'
        )
    $query$;
    anybody boolean;
BEGIN
    EXECUTE anybody_creates INTO anybody;
    IF NOT anybody THEN
        RETURN;
    END IF;
    BEGIN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    EXCEPTION
        WHEN insufficient_privilege THEN NULL;
    END;
    -- Who does not own the schema may get away with a mere warning, and nothing is revoked.
    EXECUTE anybody_creates INTO anybody;
    IF anybody THEN
        RAISE WARNING 'everybody may create tables in schema public of database %: ask the administrator to run REVOKE CREATE ON SCHEMA public FROM PUBLIC', current_database();
    END IF;
END
$$;

DO $$
DECLARE
    wanted text[];
BEGIN
    -- A forgotten join must not hold up the night, a slip of the hand must not write, and questions about all patients
    -- are to be sorted and joined in memory: with PostgreSQL's 4 MB some take half as long again.
    FOREACH wanted SLICE 1 IN ARRAY ARRAY[
        ['statement_timeout', '60s'], ['default_transaction_read_only', 'on'], ['work_mem', '32MB']
    ] LOOP
        CONTINUE WHEN EXISTS (
            SELECT
            FROM pg_catalog.pg_db_role_setting AS kept
            INNER JOIN pg_catalog.pg_database AS base ON kept.setdatabase = base.oid
            WHERE base.datname = current_database()
                AND kept.setrole = 'scoring_analyst'::regrole
                AND wanted[1] || '=' || wanted[2] = ANY(kept.setconfig)
        );
        BEGIN
            EXECUTE format(
                'ALTER ROLE scoring_analyst IN DATABASE %I SET %I = %L', current_database(), wanted[1], wanted[2]
            );
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING 'not allowed to set % = % for scoring_analyst: ask the administrator', wanted[1], wanted[2];
        END;
    END LOOP;
END
$$;
