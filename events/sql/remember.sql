-- What a client-given id stands for, so that sending it again finds the first answer.
INSERT INTO events_idempotency (digest, seq, stream)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[])
