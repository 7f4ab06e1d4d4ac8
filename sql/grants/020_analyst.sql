-- Title: Privileges of analysts
-- Description: Analysts read the views of schema analyst and nothing else. Views run with the privileges of their
-- owner, so the tables need no grant. migrations/0000_roles.sql sets the time limit and the read-only default.

GRANT USAGE ON SCHEMA analyst TO scoring_analyst;

-- ALL TABLES includes views.
GRANT SELECT ON ALL TABLES IN SCHEMA analyst TO scoring_analyst;
