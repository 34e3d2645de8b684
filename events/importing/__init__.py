"""Files → events, through Flux's public HTTP API: a client that lives in the tree.

`values`, `times` and `rows` are pure: they turn one row into one event. `files`,
`records`, `sender` and `checkpoint` touch one resource each, `importer` joins them.
What a person sees of it is in `events.management`. Nothing here knows a database.
"""
