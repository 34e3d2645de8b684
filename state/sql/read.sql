-- The entities that were asked for, each as its finished JSON text. Built here, so that
-- Python never decodes properties that it only passes on.
SELECT id, version, seq, convert_to(
    '{"id":' || to_json(id)::text
    || ',"properties":' || properties::text
    || ',"lastUpdated":"' || to_char(updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","version":' || version || ',"seq":' || seq || '}', 'UTF8')
FROM state_entity
WHERE id = ANY($1::text[])
