-- Where a stretch of the stored entities differs from what the log gives, both sides as
-- text. The directory is no part of it: it comes from counters, not from events. Only the
-- head of a long value travels.
WITH derived AS (
    SELECT id COLLATE "C" AS id, namespace, properties::jsonb::text AS properties,
           octet_length(properties::jsonb::text) AS size, version, seq, updated_at
    FROM unnest(
        %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
        %s::timestamptz[]
    ) AS t (id, namespace, properties, version, seq, updated_at)
), stored AS (
    SELECT id, namespace, properties::text AS properties, size, version, seq, updated_at
    FROM state_entity
    WHERE id >= %s AND (%s::text IS NULL OR id < %s) AND id <> %s
)
SELECT coalesce(derived.id, stored.id), count(*) OVER (),
       derived.namespace, left(derived.properties, 65536), derived.size::text,
       derived.version::text, derived.seq::text, derived.updated_at::text,
       stored.namespace, left(stored.properties, 65536), stored.size::text,
       stored.version::text, stored.seq::text, stored.updated_at::text
FROM derived FULL JOIN stored ON stored.id = derived.id
WHERE derived IS DISTINCT FROM stored
ORDER BY 1
LIMIT %s
