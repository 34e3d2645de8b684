-- The ids of a list behind one id, to know where a page of so many entities ends before
-- its first byte is sent (the Link header comes first).
SELECT id FROM state_entity
WHERE id > %s AND id >= %s AND (%s::text IS NULL OR id < %s)
  AND (NOT %s OR namespace = 'default')
ORDER BY id
LIMIT %s
