-- The counters as they stand at one position of the log, and a place for those that a
-- replay gives. Temporary, so that even a killed run leaves nothing behind.
CREATE TEMPORARY TABLE stored_count AS
    SELECT namespace, entities, updated_at FROM state_count;
CREATE TEMPORARY TABLE derived_count (LIKE state_count INCLUDING ALL)
