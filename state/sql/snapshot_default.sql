-- The same for the namespace `default`, whose ids lie scattered among all others: the
-- partial index state_entity_default holds them alone, and is found only by a condition
-- that stands here as it is. Behind an id ($1), bounded in rows ($2) and bytes ($3).
SELECT id, seq, updated_at, properties::text, found
FROM (
    SELECT *, count(*) OVER () AS found,
           sum(size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (
        SELECT id, seq, updated_at, size, properties FROM state_entity
        WHERE namespace = 'default' AND id > $1::text
        ORDER BY id
        LIMIT $2::integer
    ) AS stretch
) AS page
WHERE before < $3::bigint
ORDER BY id
