-- How many of a group's events stand in the log where their commit proposed them, as they
-- were sent.
SELECT count(*)
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS mine (
    event_id, stream, entity_id, payload, place
)
JOIN events_event AS stored
    ON stored.seq = $1::bigint + mine.place - 1
   AND (stored.event_id, stored.stream, stored.entity_id, stored.payload)
     = (mine.event_id, mine.stream, mine.entity_id, mine.payload)
