"""PostgreSQL: connection, migrations, bulk writes, and the statements of all other packages."""
