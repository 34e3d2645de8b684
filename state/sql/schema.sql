-- What the ORM cannot say about the state's tables: room in each page, so that updates
-- stay HOT (no index entry is written), and how large values are kept.

ALTER TABLE state_entity SET (fillfactor = 70);
ALTER TABLE state_count SET (fillfactor = 50);

-- A large value is written under the log's lock, so its compression must be cheap: lz4
-- where the server was built with it, else none (pglz costs about ten times as much).
DO $$
BEGIN
    ALTER TABLE state_entity ALTER COLUMN properties SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    ALTER TABLE state_entity ALTER COLUMN properties SET STORAGE EXTERNAL;
END
$$;

-- Text primary keys get a second index from Django, for LIKE in other collations. These
-- are COLLATE "C", where the plain index serves prefixes too: the second one would only
-- cost every write. Its name carries a digest, so it is found by its ending.
DO $$
DECLARE
    surplus text;
BEGIN
    FOR surplus IN SELECT indexname FROM pg_indexes
        WHERE schemaname = current_schema
          AND tablename IN ('state_entity', 'state_count') AND indexname LIKE '%\_like'
    LOOP
        EXECUTE format('DROP INDEX %I', surplus);
    END LOOP;
END
$$;
