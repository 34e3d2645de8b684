-- How the entities of a group stand before it. Missing ones give no row.
SELECT id, version, size FROM state_entity WHERE id = ANY($1::text[])
