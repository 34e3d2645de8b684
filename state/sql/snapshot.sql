-- One page of a listener's snapshot: entities behind an id ($1) in a range ($2 to $3), each
-- with its properties as JSON text; bounded in rows ($5) and bytes ($6). Also how many
-- there were before the bytes were counted. The server's own entity is shown only to who
-- asked for it ($4).
SELECT id, seq, updated_at, properties::text, found
FROM (
    SELECT *, count(*) OVER () AS found,
           sum(size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (
        SELECT id, seq, updated_at, size, properties FROM state_entity
        WHERE id > $1::text AND id >= $2::text AND id < $3::text
          AND ($4::bool OR id <> 'flux-core/directory')
        ORDER BY id
        LIMIT $5::integer
    ) AS stretch
) AS page
WHERE before < $6::bigint
ORDER BY id
