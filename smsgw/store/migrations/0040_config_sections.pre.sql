-- What operators configure is read in sections; the version of a section moves in the transaction of the change, so that
-- who has read versions and rows in one snapshot lacks nothing of what they say. Whoever changes a row moves it: this is
-- the tables' own doing.
CREATE TABLE config_section (
    section text PRIMARY KEY,
    version bigint NOT NULL
);

-- Before the statement: changes of a section take turns before they touch its rows. The common version goes with it, under
-- the lock that tells of changes to come (store/channels).
CREATE FUNCTION config_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1668247142), nextval('config_version');
    UPDATE config_section SET version = version + 1 WHERE section = TG_ARGV[0];
    RETURN NULL;
END $$;

-- Let changes of a table move a section, but for columns that are no configuration. To be called again by a migration that
-- adds a column: the trigger knows the columns that there are now.
CREATE FUNCTION config_watch(watched regclass, section_ text, passed_over text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    columns text := (
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = watched AND attnum > 0 AND NOT attisdropped AND attname <> ALL (passed_over)
    );
BEGIN
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = watched AND attname = ANY (passed_over))
       <> cardinality(passed_over) THEN
        RAISE EXCEPTION '% lacks a column of %', watched, passed_over;
    END IF;
    INSERT INTO config_section VALUES (section_, 1) ON CONFLICT (section) DO NOTHING;
    EXECUTE format('CREATE OR REPLACE TRIGGER config_moved BEFORE INSERT OR DELETE OR UPDATE OF %s ON %s'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION config_moved(%L)', columns, watched, section_);
END $$;

SELECT config_watch('account', 'accounts', '{balance}'),
       config_watch('api_key', 'keys', '{last_used_at,last_used_ip}'),
       config_watch('channel', 'channels'),
       config_watch('route_version', 'routes'),
       config_watch('pool', 'routes'),
       config_watch('number_override', 'numbers'),
       config_watch('retry_rule', 'retry_rules'),
       config_watch('code_class', 'code_classes'),
       config_watch('channel_spelling', 'report_ids'),
       config_watch('sign_code', 'access_codes'),
       config_watch('old_code', 'access_codes'),
       config_watch('setting', 'settings'),
       config_watch('webhook', 'webhooks', '{last_error,failing_since,last_ok_at}'),
       config_watch('event_setting', 'webhooks', '{balance_told}'),
       config_watch('partner', 'partners'),
       config_watch('policy', 'policies'),
       config_watch('word', 'words'),
       config_watch('allow_list', 'lists'),
       config_watch('sign', 'content'),
       config_watch('template', 'content'),
       config_watch('registration', 'content'),
       config_watch('filed_link', 'url_filings'),
       config_watch('filed_link_state', 'url_filings');
