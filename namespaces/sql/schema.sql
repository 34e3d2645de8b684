-- What the ORM cannot say about the tenants' tables. Run once, by a migration.

-- The row of a bucket is written with every commit: its updates stay in their page.
ALTER TABLE namespaces_bucket SET (fillfactor = 50);

-- The audit log only grows.
CREATE FUNCTION namespaces_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER namespaces_auditentry_no_change
    BEFORE UPDATE OR DELETE ON namespaces_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION namespaces_refuse_change();

CREATE TRIGGER namespaces_auditentry_no_truncate
    BEFORE TRUNCATE ON namespaces_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION namespaces_refuse_change();

INSERT INTO namespaces_usagecursor (id, seq) VALUES (1, 0);

-- Text keys get a second index from Django, for LIKE in other collations. These are
-- compared byte by byte, so their own index serves that too.
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
