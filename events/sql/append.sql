-- Appends a stretch of events; seq counts on from $1. One statement over arrays: measured
-- against COPY it is as fast at 1,000 events, faster below, and fits into the pipeline
-- that saves the round trips. A group has one time, that of its first event ($2), which
-- an earlier statement of the group may have written; it never runs backwards, so that
-- `since` and `until` can bisect seq. It is returned, for who tells listeners.
INSERT INTO events_event (
    seq, event_id, stream, source, key, schema, namespace, entity_id,
    occurred_at, recorded_at, token, payload
)
SELECT $1::bigint + place - 1, event_id, stream, source, key, schema, namespace,
       entity_id, occurred_at, (SELECT coalesce(
           (SELECT recorded_at FROM events_event WHERE seq = $2::bigint),
           greatest(clock_timestamp(),
                    (SELECT recorded_at FROM events_event WHERE seq = $2::bigint - 1))
       )), token, payload
FROM unnest(
    $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $11::text[], $12::text[]
) WITH ORDINALITY AS new (
    event_id, stream, source, key, schema, namespace, entity_id, occurred_at, payload,
    token, place
)
RETURNING recorded_at
