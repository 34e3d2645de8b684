-- Appends a stretch of events; seq counts on from the first parameter. One statement over
-- arrays: measured against COPY it is as fast at 1,000 events, faster below, and fits
-- into the pipeline that saves the round trips.
INSERT INTO events_event (
    seq, event_id, stream, source, key, schema, namespace, entity_id,
    occurred_at, recorded_at, token, payload
)
SELECT $1::bigint + place - 1, event_id, stream, source, key, schema, namespace,
       entity_id, occurred_at, $2::timestamptz, NULL, payload
FROM unnest(
    $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::bigint[], $11::text[]
) WITH ORDINALITY AS new (
    event_id, stream, source, key, schema, namespace, entity_id, occurred_at, payload,
    place
)
