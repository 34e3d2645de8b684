-- Text keys get a second index from Django, for LIKE in other collations. The shop's are
-- looked up by equality alone. Run once, by a migration.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT indexname FROM pg_indexes
        WHERE schemaname = current_schema()
          AND tablename LIKE 'namespaces\_%' AND indexname LIKE '%\_like'
    LOOP
        EXECUTE format('DROP INDEX %I', name);
    END LOOP;
END
$$;
