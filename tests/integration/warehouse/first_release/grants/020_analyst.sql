-- Title: What analysts may do
-- Description: They read the views of schema analyst and nothing else. The views run with the rights of their owner, so
-- the tables behind them need no grant. Time limit and read-only default are set by migrations/0000_roles.sql.

GRANT USAGE ON SCHEMA analyst TO scoring_analyst;

-- "All tables" of this schema are its views.
GRANT SELECT ON ALL TABLES IN SCHEMA analyst TO scoring_analyst;
