"""PostgreSQL, the journal, migrations."""
