-- Adds what each namespace writes to what it has spent ($1, $2), after what has run out
-- since, at the limit's rate ($3, events a minute); counted as in namespaces/bucket.py.
-- Ends the transaction, by a division by zero, if that is more than $4: who decided by a
-- clock of its own was wrong.
INSERT INTO namespaces_bucket AS bucket (namespace, spent, at)
SELECT namespace, cost, clock_timestamp()
FROM unnest($1::text[], $2::bigint[]) AS new (namespace, cost)
ON CONFLICT (namespace) DO UPDATE SET
    spent = excluded.spent + greatest(0,
        least(bucket.spent, $3::bigint * 1000000) - $3::bigint * least(
            greatest(extract(epoch FROM excluded.at - bucket.at) * 1000000, 0),
            86400000000
        )::bigint / 60
    ),
    at = greatest(bucket.at, excluded.at)
RETURNING namespace, spent, 1 / (spent <= $4::bigint)::integer
