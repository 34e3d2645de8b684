-- Where the stored counters differ from what the log gives.
WITH derived AS (
    SELECT namespace, entities, updated_at FROM derived_count
), stored AS (
    SELECT namespace COLLATE "C" AS namespace, entities, updated_at FROM stored_count
)
SELECT coalesce(derived.namespace, stored.namespace), count(*) OVER (),
       derived.entities::text, derived.updated_at::text,
       stored.entities::text, stored.updated_at::text
FROM derived FULL JOIN stored ON stored.namespace = derived.namespace
WHERE derived IS DISTINCT FROM stored
ORDER BY 1
LIMIT %s
