"""All that speaks to PostgreSQL: engine, migrations, bulk writes, and the queries of the other rooms."""
