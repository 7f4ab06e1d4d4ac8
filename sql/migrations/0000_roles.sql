-- Title: Roles of the warehouse, and the schema of its migration records
-- Description: Runs before every migration, as the role that migrates. Repeating it changes nothing.
--   scoring_owner    owns every object; used only by `scoring migrate`
--   scoring_job      reads and inserts or updates rows; cannot delete rows or change the structure
--   scoring_analyst  reads the views of schema analyst
-- These are group roles without a login. Grant them to the login roles of the site:
--   GRANT scoring_job TO airflow_worker; GRANT scoring_analyst TO jane;
-- PostgreSQL applies the settings of a role only when that role itself logs in, so repeat them for each login role:
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
            -- Since PostgreSQL 16, the creator of a role needs a grant to act as it.
            IF wanted = 'scoring_owner' THEN
                EXECUTE format('GRANT scoring_owner TO %I', current_user);
            END IF;
        EXCEPTION
            -- Roles are shared by all databases of the server; another one may be migrating at the same time.
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
    -- The job loads rows by COPY into temporary tables. Each privilege is checked separately, because
    -- has_database_privilege returns true if any privilege of a list is held.
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

-- Up to PostgreSQL 14, and in databases upgraded from it, every role may create tables in schema public.
DO $$
DECLARE
    public_can_create_query CONSTANT text := $query$
        SELECT EXISTS (
            SELECT
            FROM pg_catalog.pg_namespace AS n
            CROSS JOIN LATERAL aclexplode(n.nspacl) AS granted
            WHERE n.nspname = 'public' AND granted.grantee = 0 AND granted.privilege_type = 'CREATE'
        )
    $query$;
    public_can_create boolean;
BEGIN
    EXECUTE public_can_create_query INTO public_can_create;
    IF NOT public_can_create THEN
        RETURN;
    END IF;
    BEGIN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    EXCEPTION
        WHEN insufficient_privilege THEN NULL;
    END;
    -- REVOKE by a role that does not own the schema may only warn and revoke nothing, so check again.
    EXECUTE public_can_create_query INTO public_can_create;
    IF public_can_create THEN
        RAISE WARNING 'Every role can create tables in schema public of database %. Ask the administrator to run REVOKE CREATE ON SCHEMA public FROM PUBLIC.', current_database();
    END IF;
END
$$;

DO $$
DECLARE
    wanted text[];
BEGIN
    -- A missing join condition must not delay the nightly run, and a mistyped statement must not write. Queries over
    -- all patients sort and join in memory; with PostgreSQL's default of 4 MB some take 50 % longer.
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
                RAISE WARNING 'This role cannot set % = % for scoring_analyst. Ask the administrator to set it.', wanted[1], wanted[2];
        END;
    END LOOP;
END
$$;
