-- What the ORM cannot say about the log's tables: that nothing in them ever changes,
-- and how they are stored. Run once, by the first migration.

-- A large value is written under the log's lock, so its compression must be cheap: lz4
-- where the server was built with it, else none (pglz costs about ten times as much).
DO $$
BEGIN
    ALTER TABLE events_event ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    ALTER TABLE events_event ALTER COLUMN payload SET STORAGE EXTERNAL;
END
$$;

CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log is append-only: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER events_event_no_change BEFORE UPDATE OR DELETE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();

CREATE TRIGGER events_event_no_truncate BEFORE TRUNCATE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();

INSERT INTO events_log (id, log_id, registry_version)
    VALUES (1, gen_random_uuid(), 0);
