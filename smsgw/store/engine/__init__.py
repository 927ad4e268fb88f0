"""PostgreSQL and the files beside it: pools, group commit, journal, spool, leases, migrations."""
