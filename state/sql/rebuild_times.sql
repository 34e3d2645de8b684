-- Gives the entities that a stretch of events changed the time of their newest event;
-- one statement of `merge` knows but one time, that of its own commit.
UPDATE state_entity AS entity SET updated_at = event.recorded_at
FROM events_event AS event
WHERE event.seq > %s AND event.seq <= %s
  AND entity.id = event.entity_id AND entity.seq = event.seq
