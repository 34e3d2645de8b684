-- Moves the counters of the namespaces that a commit touched, at the time of the event $1.
INSERT INTO state_count AS count (namespace, entities, updated_at)
SELECT namespace, delta, (SELECT recorded_at FROM events_event WHERE seq = $1::bigint)
FROM unnest($2::text[], $3::bigint[]) AS t (namespace, delta)
ON CONFLICT (namespace) DO UPDATE SET
    entities = count.entities + excluded.entities,
    updated_at = excluded.updated_at
