-- Which client-given ids are in the log, and where.
SELECT digest, seq, stream FROM events_idempotency WHERE digest = ANY($1::bytea[])
