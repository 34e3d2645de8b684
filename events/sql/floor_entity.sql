-- The newest event of an entity below a window, there only when older ones remain.
SELECT seq FROM events_event WHERE entity_id = %s AND seq >= %s AND seq < %s
ORDER BY seq DESC OFFSET %s LIMIT 1
