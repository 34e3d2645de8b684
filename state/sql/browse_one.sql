-- One entity, its properties indented by the database: Python never decodes them, so
-- numbers keep their value and scale.
SELECT id, namespace, version, seq, updated_at, size, left(jsonb_pretty(properties), %s)
FROM state_entity
WHERE id = %s
