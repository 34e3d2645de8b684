-- Empty twins of the state's tables, as the live ones are: columns, storage, defaults,
-- index and constraint names, grants. Taken from the catalog, so that this need not
-- follow every migration; in a schema of their own, so that each keeps its very name.
CREATE SCHEMA flux_rebuild;

DO $$
DECLARE
    live regclass;
    twin text;
    part record;
BEGIN
    FOREACH live IN ARRAY ARRAY['state_entity', 'state_count']::regclass[] LOOP
        twin := format('flux_rebuild.%I', (SELECT relname FROM pg_class WHERE oid = live));
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING INDEXES)',
                       twin, live);
        FOR part IN SELECT unnest(reloptions) AS option FROM pg_class WHERE oid = live LOOP
            EXECUTE format('ALTER TABLE %s SET (%s)', twin, part.option);
        END LOOP;
        FOR part IN SELECT conname, pg_get_constraintdef(oid) AS definition
            FROM pg_constraint WHERE conrelid = live AND contype IN ('p', 'u', 'x') LOOP
            EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s',
                           twin, part.conname, part.definition);
        END LOOP;
        FOR part IN SELECT pg_get_indexdef(indexrelid) AS definition
            FROM pg_index WHERE indrelid = live AND NOT EXISTS (
                SELECT FROM pg_constraint WHERE conindid = indexrelid) LOOP
            EXECUTE regexp_replace(
                part.definition, ' ON \S+ USING ', format(' ON %s USING ', twin));
        END LOOP;
        EXECUTE format('ALTER TABLE %s OWNER TO %I', twin,
            (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = live));
        FOR part IN SELECT grantee, privilege_type
            FROM pg_class, aclexplode(relacl)
            WHERE oid = live AND grantee <> relowner LOOP
            EXECUTE format('GRANT %s ON %s TO %s', part.privilege_type, twin,
                CASE part.grantee WHEN 0 THEN 'PUBLIC'
                     ELSE quote_ident(pg_get_userbyid(part.grantee)) END);
        END LOOP;
    END LOOP;
END
$$
