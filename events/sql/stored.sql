-- How many of a group's events are in the log as their commit proposed: these ids, at
-- these places, recorded at this time. The time tells them from what another process has
-- committed in the same place since, which may bear the same client-given id.
SELECT count(*)
FROM unnest($3::text[]) WITH ORDINALITY AS mine (event_id, place)
JOIN events_event AS stored
    ON stored.seq = $1::bigint + mine.place - 1 AND stored.event_id = mine.event_id
WHERE stored.recorded_at = $2::timestamptz
