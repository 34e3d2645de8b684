-- One page of a list: how many, the last id, and the entities as one JSON text without
-- brackets. Paged by key: no transaction outlives a statement while a client reads,
-- because a snapshot held open keeps dead rows alive, and hot rows then cost ten times as
-- much. A page ends after some bytes of properties, or after so many rows; a value that is
-- left out is never read from its toast table. `concat` copies the properties once, a
-- chain of `||` once for each link (a sixth of the time).
SELECT count(*), max(id), convert_to(string_agg(concat(
    '{"id":', to_json(id), ',"properties":', properties,
    ',"lastUpdated":"', to_char(updated_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    '","version":', version, ',"seq":', seq, '}'), ',' ORDER BY id), 'UTF8')
FROM (
    SELECT *, sum(size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - size AS before
    FROM (
        SELECT * FROM state_entity
        WHERE id > %s AND id >= %s AND (%s::text IS NULL OR id < %s)
          AND (%s::text IS NULL OR id <= %s)
          AND (NOT %s OR namespace = 'default')
        ORDER BY id
        LIMIT %s
    ) AS stretch
) AS page
WHERE before < %s
