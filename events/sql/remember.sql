-- What a client-given id stands for, so that sending it again finds the first answer.
INSERT INTO events_idempotency (digest, seq, stream)
SELECT * FROM unnest(%s::bytea[], %s::bigint[], %s::text[])
