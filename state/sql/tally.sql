-- Moves counters by what a stretch of the log did to them; the place is filled in.
INSERT INTO {} AS count (namespace, entities, updated_at)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[])
ON CONFLICT (namespace) DO UPDATE SET
    entities = count.entities + excluded.entities,
    updated_at = greatest(count.updated_at, excluded.updated_at)
