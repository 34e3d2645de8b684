-- One page of a listener's snapshot: entities behind an id ($1) in a range, each with its
-- properties as JSON text; bounded in rows ($6) and bytes ($7). The server's own entity is
-- shown only to who asked for it ($5).
SELECT id, seq, updated_at, properties::text
FROM (
    SELECT *, sum(size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (
        SELECT id, seq, updated_at, size, properties FROM state_entity
        WHERE id > $1::text AND id >= $2::text AND ($3::text IS NULL OR id < $3::text)
          AND (NOT $4::bool OR namespace = 'default')
          AND ($5::bool OR id <> 'flux-core/directory')
        ORDER BY id
        LIMIT $6::integer
    ) AS stretch
) AS page
WHERE before < $7::bigint
ORDER BY id
