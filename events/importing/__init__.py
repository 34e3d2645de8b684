"""Files → events, through Flux's public HTTP API: a client that lives in the tree.

`values`, `times` and `rows` are pure: they turn one row into one event. `files`,
`records`, `sender` and `checkpoint` touch one resource each, `importer` joins them, and
`terminal` is what a person sees of it. Nothing here knows Django's database.
"""
