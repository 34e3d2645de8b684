-- Puts the new tables in place of the live ones, which are found by the search path's
-- other schema. Their own schemas let both keep their names, indexes' and constraints'
-- included. The directory comes from counters, not from the log: its row moves over, and
-- under the lock nobody rewrites it meanwhile.
DO $$
DECLARE
    live text := (SELECT unnest(current_schemas(false)) OFFSET 1);
BEGIN
    EXECUTE format('LOCK TABLE %1$I.state_count, %1$I.state_entity'
                   ' IN ACCESS EXCLUSIVE MODE', live);
    EXECUTE format('INSERT INTO flux_rebuild.state_entity'
                   ' (id, namespace, properties, version, seq, updated_at)'
                   ' SELECT id, namespace, properties, version, seq, updated_at'
                   ' FROM %I.state_entity WHERE id = ''flux-core/directory''', live);
    EXECUTE format('DROP TABLE %1$I.state_entity, %1$I.state_count', live);
    EXECUTE format('ALTER TABLE flux_rebuild.state_entity SET SCHEMA %I', live);
    EXECUTE format('ALTER TABLE flux_rebuild.state_count SET SCHEMA %I', live);
    -- What processes know of the entities is void, should these differ from the old ones.
    UPDATE events_log SET registry_version = registry_version + 1;
END
$$
