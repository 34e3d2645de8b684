-- Appends a stretch of events; seq counts on from the first parameter. One statement over
-- arrays: measured against COPY it is as fast at 1,000 events, faster below, and fits
-- into the pipeline that saves the round trips.
INSERT INTO events_event (
    seq, event_id, stream, source, key, schema, namespace, entity_id,
    occurred_at, recorded_at, token, payload
)
SELECT %s::bigint + place - 1, event_id, stream, source, key, schema, namespace,
       entity_id, occurred_at, %s, NULL, payload
FROM unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::text[]
) WITH ORDINALITY AS new (
    event_id, stream, source, key, schema, namespace, entity_id, occurred_at, payload,
    place
)
