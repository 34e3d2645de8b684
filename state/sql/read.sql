-- The entities that were asked for, each as its finished JSON text: built here, so that
-- Python never decodes properties that it only passes on. Above a size there is a NULL
-- instead, to be asked for alone: a group of large ones would not fit in memory.
SELECT id, 'v' || version || '-' || seq, CASE WHEN size <= $2::integer THEN convert_to(
    '{"id":' || to_json(id)::text
    || ',"properties":' || properties::text
    || ',"lastUpdated":"' || to_char(updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","version":' || version || ',"seq":' || seq || '}', 'UTF8') END
FROM state_entity
WHERE id = ANY($1::text[])
