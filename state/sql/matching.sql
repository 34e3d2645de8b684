-- The ids of a stretch, for a batch delete. Those of the namespace `default` lie
-- scattered among all others; the partial index state_entity_default holds them alone.
SELECT id FROM state_entity
WHERE id >= %s AND (%s::text IS NULL OR id < %s)
  AND (NOT %s OR namespace = 'default') AND namespace <> 'flux-core'
ORDER BY id
LIMIT %s
