-- Once, by way of any HAProxy:  psql --host 127.0.0.1 --port 5000 --username postgres --file roles.sql  (docs/ha.md)
-- What each may do is kept by migrations (smsgw/store/engine/database_roles.py).
CREATE ROLE smsgw_owner LOGIN PASSWORD 'CHANGE-ME-owner';
CREATE ROLE smsgw LOGIN PASSWORD 'CHANGE-ME-application' CONNECTION LIMIT 250;
CREATE DATABASE smsgw OWNER smsgw_owner;
REVOKE ALL ON DATABASE smsgw FROM PUBLIC;
GRANT CONNECT ON DATABASE smsgw TO smsgw;
-- The page of nodes shows how far the standbys are, and alarms tell.
GRANT pg_monitor TO smsgw;
