-- Entities behind an id for people to look through, with the beginning of their
-- properties; those of a large one are not read, as their text would have to be made.
SELECT id, version, seq, updated_at, size,
       CASE WHEN size <= %s THEN left(properties::text, %s) END
FROM state_entity
WHERE id > %s AND id >= %s AND id < %s
ORDER BY id
LIMIT %s
