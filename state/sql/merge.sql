-- Brings the entities of a commit to their new state, in one statement. The log's lock
-- makes its caller the only writer, so MERGE meets no concurrent insert. A change that
-- restarts its entity forgets what it was; otherwise `unset` goes before `properties`.
-- All are updated at the time of the event $9.
MERGE INTO state_entity AS entity
USING unnest(
    $1::text[], $2::text[], $3::bool[], $4::bool[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[]
) AS change (id, namespace, lives, restarts, unset, properties, version, seq)
ON entity.id = change.id
WHEN MATCHED AND NOT change.lives THEN DELETE
WHEN MATCHED THEN UPDATE SET
    properties = CASE
        WHEN change.restarts THEN change.properties::jsonb
        WHEN change.unset IS NULL THEN entity.properties || change.properties::jsonb
        ELSE (entity.properties
              - ARRAY(SELECT jsonb_array_elements_text(change.unset::jsonb)))
             || change.properties::jsonb
    END,
    version = change.version,
    seq = change.seq,
    updated_at = (SELECT recorded_at FROM events_event WHERE seq = $9::bigint)
WHEN NOT MATCHED AND change.lives THEN
    INSERT (id, namespace, properties, version, seq, updated_at)
    VALUES (change.id, change.namespace, change.properties::jsonb, change.version,
            change.seq, (SELECT recorded_at FROM events_event WHERE seq = $9::bigint))
