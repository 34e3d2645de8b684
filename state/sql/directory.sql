-- Rewrites flux-core/directory from the counters. One statement, so one snapshot: the
-- counters and the head it names belong together. Nothing is written, nor counted, while
-- the log stands still or the last rewrite is young, so the row is no hot one.
WITH head AS (
    SELECT coalesce(max(seq), 0) AS seq FROM events_event
), due AS (
    SELECT NOT EXISTS (
        SELECT FROM state_entity, head
        WHERE id = 'flux-core/directory'
          AND (state_entity.seq = head.seq
               OR updated_at >= clock_timestamp() - make_interval(secs => %s))
    ) AS now
), totals AS (
    SELECT coalesce(sum(entities), 0) AS entities, count(*) AS namespaces,
           coalesce(jsonb_object_agg(namespace, jsonb_build_object(
               'entity_count', entities,
               'last_updated', to_char(updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           )), '{}') AS listing
    FROM state_count
    WHERE entities > 0 AND (SELECT now FROM due)
)
INSERT INTO state_entity AS old (id, namespace, properties, version, seq, updated_at)
SELECT 'flux-core/directory', 'flux-core', jsonb_build_object(
           'total_entities', totals.entities,
           'total_namespaces', totals.namespaces,
           'namespaces', totals.listing,
           'updated_at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
       ), 1, head.seq, clock_timestamp()
FROM head, totals
WHERE (SELECT now FROM due)
ON CONFLICT (id) DO UPDATE SET
    properties = excluded.properties,
    version = old.version + 1,
    seq = excluded.seq,
    updated_at = excluded.updated_at
